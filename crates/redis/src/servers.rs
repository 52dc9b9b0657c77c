//! Where Redis is: one server, the primary that Sentinels name, or the nodes of a cluster.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisResult};
use tokio::sync::Mutex;

use crate::config::{CONNECT_TIMEOUT, client};
use crate::connection::within;
use crate::link::{Ends, Link};
use crate::nodes::{Nodes, nodes};
use crate::{InvalidUrl, RedisConfig};

/// The longest that connecting to one node of a cluster may take, of which some may be gone, and that a Sentinel may take to
/// answer.
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);
/// The Sentinels are not asked for a new connection if they were so long ago.
const RECENT: Duration = Duration::from_millis(200);
/// The longest that one node of a cluster may take to answer.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often redis-rs tries a command of a cluster again: after MOVED, ASK, TRYAGAIN, or on a new connection.
const RETRIES: u32 = 6;

/// Where Redis is.
pub struct Servers {
    /// Of each server that the URL names. Behind Sentinels, of the primary but for its address.
    nodes: Vec<ConnectionInfo>,
    cluster: Option<ClusterClient>,
    sentinels: Vec<ConnectionManager>,
    /// The Sentinels' name for the primary, and whom they have named last.
    service: String,
    known: Mutex<Option<(Instant, ConnectionInfo)>>,
    /// How often they have named another one than before.
    switches: AtomicU64,
}

impl Servers {
    /// Connects to nothing. Call it in a tokio runtime.
    ///
    /// # Errors
    /// A URL that is none of Redis's.
    pub fn new(config: &RedisConfig) -> Result<Arc<Self>, InvalidUrl> {
        let Nodes { servers, sentinels, service, is_cluster } = nodes(&config.url)?;
        let client = |url: &String| client(url, config.tls.as_ref());
        let info = |url| Ok(client(url)?.get_connection_info().clone());
        let nodes = servers.iter().map(info).collect::<Result<Vec<_>, InvalidUrl>>()?;
        let settings = ConnectionManagerConfig::new().set_max_delay(SHORT_TIMEOUT);
        let sentinel = |url| Ok(client(url)?.get_connection_manager_lazy(settings.clone())?);
        let sentinels = sentinels.iter().map(sentinel).collect::<Result<_, InvalidUrl>>()?;
        let mut cluster = ClusterClientBuilder::new(nodes.clone())
            .connection_timeout(SHORT_TIMEOUT)
            .response_timeout(NODE_TIMEOUT)
            .overall_response_timeout(Some(CONNECT_TIMEOUT))
            .tcp_settings(TcpSettings::default().set_nodelay(true))
            .retries(RETRIES)
            .min_retry_wait(5)
            .max_retry_wait(50);
        if let Some(certificates) = &config.tls {
            cluster = cluster.certs(certificates.clone());
        }
        let cluster = if is_cluster { Some(cluster.build()?) } else { None };
        let (known, switches) = (Mutex::default(), AtomicU64::new(0));
        Ok(Arc::new(Self { nodes, cluster, sentinels, service, known, switches }))
    }

    /// Connects, by `connect` where it is to one server.
    ///
    /// # Errors
    /// No Sentinel, or no server, answers as it should.
    pub async fn link<Fut>(&self, connect: impl FnOnce(ConnectionInfo) -> Fut) -> RedisResult<Link>
    where
        Fut: Future<Output = RedisResult<MultiplexedConnection>>,
    {
        let switches = self.switches();
        let to = match &self.cluster {
            Some(cluster) => Ends::Cluster(cluster.get_async_connection().await?),
            None => Ends::Server(connect(self.primary(RECENT).await?.0).await?),
        };
        Ok(Link { to, switches })
    }

    /// The servers that take writes now, or may at any time: of a cluster also those that have no slots yet. For RESP3.
    ///
    /// # Errors
    /// No Sentinel, or no node of the cluster, answers.
    pub async fn primaries(&self) -> RedisResult<Vec<Client>> {
        let found = match &self.cluster {
            Some(cluster) => self.masters(&mut cluster.get_async_connection().await?).await?,
            None => vec![self.primary(RECENT).await?.0],
        };
        let client = |info: ConnectionInfo| {
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Client::open(info.set_redis_settings(settings))
        };
        found.into_iter().map(client).collect()
    }

    /// Asks one of `primaries`, on a connection to it, whether it answers and knows no further ones.
    ///
    /// # Errors
    /// It does not answer, or there is another primary.
    pub async fn confirm(&self, primaries: &[Client], mut primary: MultiplexedConnection) -> RedisResult<()> {
        if self.cluster.is_none() {
            return redis::cmd("PING").exec_async(&mut primary).await;
        }
        let is_known = |info: &ConnectionInfo| {
            primaries.iter().any(|client| client.get_connection_info().addr() == info.addr())
        };
        ensure_same(self.masters(&mut primary).await?.iter().all(is_known))
    }

    /// Asks the Sentinels, if there are any, who the primary is. True if they could have another one elected.
    pub async fn watch(&self) -> Option<bool> {
        let answer = self.primary(Duration::ZERO).await;
        (!self.sentinels.is_empty()).then(|| answer.is_ok_and(|(_, has_quorum)| has_quorum))
    }

    /// How often the primary has changed, as far as this process knows.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.switches.load(Ordering::SeqCst)
    }

    /// Whether there is still the primary that there was after so many `switches`.
    ///
    /// # Errors
    /// There is another one.
    pub fn check(&self, switches: u64) -> RedisResult<()> {
        ensure_same(self.switches() == switches)
    }

    /// The only server, or the primary that the Sentinels name, or have named so long ago: if none answers, the same as before.
    /// All are asked, since one may not have heard yet of the last failover, which has the highest number.
    async fn primary(&self, max_age: Duration) -> RedisResult<(ConnectionInfo, bool)> {
        let mut known = self.known.lock().await;
        if let Some((_, primary)) = known.as_ref().filter(|(asked, _)| asked.elapsed() < max_age) {
            return Ok((primary.clone(), false));
        }
        let asked = self.sentinels.iter().map(|sentinel| within(SHORT_TIMEOUT, self.ask(sentinel)));
        let answers = join_all(asked).await;
        let has_quorum = answers.iter().flatten().any(|(.., has_quorum)| *has_quorum);
        let number = |answer: &RedisResult<(_, u64, _)>| answer.as_ref().ok().map(|(_, number, _)| *number);
        let primary = match answers.into_iter().max_by_key(number) {
            None => return Ok((self.nodes[0].clone(), false)),
            Some(Ok(((host, port), ..))) => self.at(host, port),
            Some(Err(error)) => known.clone().ok_or(error)?.1,
        };
        let last = known.replace((Instant::now(), primary.clone()));
        if last.is_some_and(|(_, last)| last.addr() != primary.addr()) {
            self.switches.fetch_add(1, Ordering::SeqCst);
        }
        Ok((primary, has_quorum))
    }

    /// Whom the Sentinel names, the number of the failover that made it that, and whether there could be another one.
    async fn ask(&self, sentinel: &ConnectionManager) -> RedisResult<((String, u16), u64, bool)> {
        let mut questions = redis::pipe();
        for question in ["GET-MASTER-ADDR-BY-NAME", "MASTER", "CKQUORUM"] {
            questions.cmd("SENTINEL").arg(question).arg(&self.service);
        }
        let answers = questions.ignore_errors().query_async(&mut sentinel.clone()).await?;
        let (named, state, quorum): (RedisResult<_>, RedisResult<HashMap<String, String>>, RedisResult<()>) =
            answers;
        let unknown = || io::Error::other("the Sentinels do not know the service");
        let named = Option::ok_or_else(named?, unknown)?;
        let number = state.ok().and_then(|state| state.get("config-epoch")?.parse().ok());
        Ok((named, number.unwrap_or_default(), quorum.is_ok()))
    }

    fn at(&self, host: String, port: u16) -> ConnectionInfo {
        let address = match self.nodes[0].addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        self.nodes[0].clone().set_addr(address)
    }

    /// The nodes that a node of a cluster counts as masters, but for those that all hold for gone, which take no writes.
    async fn masters(&self, node: &mut impl ConnectionLike) -> RedisResult<Vec<ConnectionInfo>> {
        let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(node).await?;
        let is_tls = matches!(self.nodes[0].addr(), ConnectionAddr::TcpTls { .. });
        let master = |line: &str| {
            // id ip:port@port[,hostname] flags ...
            let [_, server, bus, flags] = line.splitn(5, [' ', '@']).take(4).collect::<Vec<_>>()[..] else {
                return None;
            };
            let has = |names: &[&str]| flags.split(',').any(|flag| names.contains(&flag));
            let (ip, port) = server.rsplit_once(':')?;
            // A certificate is more often of a name.
            let name = bus.split(',').nth(1).filter(|name| is_tls && !name.is_empty());
            let takes_writes = has(&["master"]) && !has(&["fail", "handshake", "noaddr"]);
            takes_writes.then_some(self.at(name.unwrap_or(ip).to_owned(), port.parse().ok()?))
        };
        Ok(nodes.lines().filter_map(master).collect())
    }
}

fn ensure_same(is_same: bool) -> RedisResult<()> {
    if is_same { Ok(()) } else { Err(io::Error::other("there is another primary").into()) }
}
