//! Where Redis is: one server, the primary that Sentinels name, or the nodes of a cluster.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisResult};
use tokio::sync::Mutex;

use crate::config::{CONNECT_TIMEOUT, client};
use crate::connection::within;
use crate::link::{Kind, Link};
use crate::nodes::{Nodes, nodes};
use crate::{InvalidUrl, RedisConfig};

/// The longest that connecting to one node of a cluster may take, of which some may be gone, and that a Sentinel may take to
/// answer.
const SHORT_TIMEOUT: Duration = Duration::from_millis(300);
/// How old the Sentinels' answer may be for a new connection, and where several connections watch them.
pub const RECENT: Duration = Duration::from_millis(200);
/// The longest that one node of a cluster may take to answer.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often redis-rs tries a command of a cluster again, after MOVED, ASK, TRYAGAIN or a lost connection; all requests may wait.
const RETRIES: u32 = 2;

/// Where Redis is.
pub struct Servers {
    /// Of each server that the URL names. Behind Sentinels, of the primary but for its address.
    nodes: Vec<ConnectionInfo>,
    cluster: Option<ClusterClient>,
    sentinels: Vec<(Client, Kept)>,
    /// The Sentinels' name for the primary, and whom they have named last.
    service: String,
    known: Mutex<Option<Answer>>,
    /// How often they have named another one than before.
    switches: AtomicU64,
}

/// Of one Sentinel, or of all.
#[derive(Clone)]
struct Answer {
    asked: Instant,
    primary: ConnectionInfo,
    /// Of the failover that made it the primary.
    number: u64,
    /// Whether there could be another failover.
    has_quorum: bool,
}

type Kept = Mutex<Option<MultiplexedConnection>>;

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
        let sentinel = |url| Ok((client(url)?, Mutex::default()));
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
        let kind = match &self.cluster {
            Some(cluster) => Kind::Cluster(cluster.get_async_connection().await?),
            None => Kind::Server(connect(self.primary(RECENT).await?.0).await?),
        };
        Ok(Link { kind, switches })
    }

    /// The servers that take writes now, or may at any time: of a cluster also those that have no slots yet. For RESP3.
    ///
    /// # Errors
    /// No Sentinel, or no node of the cluster, answers.
    pub async fn primaries(&self) -> RedisResult<Vec<Client>> {
        let found = match &self.cluster {
            Some(cluster) => self.masters(&mut cluster.get_async_connection().await?, "").await?,
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
        // It may know itself by another address than the others do.
        ensure_same(self.masters(&mut primary, "myself").await?.iter().all(is_known))
    }

    /// Asks the Sentinels, if there are any, who the primary is, unless they were so lately. False if they could have no other
    /// one elected.
    pub async fn watch(&self, max_age: Duration) -> Option<bool> {
        let answer = self.primary(max_age).await;
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

    /// The only server, or the primary that the Sentinels name; if none answers, that of before. And whether they have a quorum.
    /// All are asked, since one may not have heard yet of the last failover, which has the highest number. A lower one than
    /// before counts if all answer: they were set up anew.
    async fn primary(&self, max_age: Duration) -> RedisResult<(ConnectionInfo, bool)> {
        let mut known = self.known.lock().await;
        if let Some(last) = known.as_ref().filter(|last| last.asked.elapsed() < max_age) {
            return Ok((last.primary.clone(), last.has_quorum));
        }
        let asked = self.sentinels.iter().map(|(client, kept)| within(SHORT_TIMEOUT, self.ask(client, kept)));
        let answers = join_all(asked).await;
        let all_answer = answers.iter().all(Result::is_ok);
        let has_quorum = answers.iter().flatten().any(|answer| answer.has_quorum);
        let number = |answer: &RedisResult<Answer>| answer.as_ref().ok().map(|answer| answer.number);
        let Some(newest) = answers.into_iter().max_by_key(number) else {
            return Ok((self.nodes[0].clone(), false));
        };
        let stays = |last: &Answer| !all_answer && number(&newest) < Some(last.number);
        let Answer { primary, number, .. } = known.clone().filter(stays).map_or(newest, Ok)?;
        let answer = Answer { asked: Instant::now(), primary: primary.clone(), number, has_quorum };
        if known.replace(answer).is_some_and(|last| last.primary.addr() != primary.addr()) {
            self.switches.fetch_add(1, Ordering::SeqCst);
        }
        Ok((primary, has_quorum))
    }

    /// Asks a Sentinel on the connection that it has answered on last; any other may be dead, and the Sentinel elsewhere.
    async fn ask(&self, client: &Client, kept: &Kept) -> RedisResult<Answer> {
        let mut kept = kept.lock().await;
        let mut sentinel = match kept.take() {
            Some(sentinel) => sentinel,
            None => client.get_multiplexed_async_connection().await?,
        };
        let mut questions = redis::pipe();
        for question in ["GET-MASTER-ADDR-BY-NAME", "MASTER", "CKQUORUM"] {
            questions.cmd("SENTINEL").arg(question).arg(&self.service);
        }
        let answers = questions.ignore_errors().query_async(&mut sentinel).await?;
        let (named, state, quorum): (RedisResult<_>, RedisResult<HashMap<String, String>>, RedisResult<()>) =
            answers;
        let unknown = || io::Error::other("the Sentinels do not know the service");
        let (host, port) = Option::ok_or_else(named?, unknown)?;
        let number = state.ok().and_then(|state| state.get("config-epoch")?.parse().ok()).unwrap_or_default();
        *kept = Some(sentinel);
        // Any other error says nothing: a Sentinel may refuse to tell.
        let has_quorum = !quorum.is_err_and(|error| error.code() == Some("NOQUORUM"));
        Ok(Answer { asked: Instant::now(), primary: self.at(host, port), number, has_quorum })
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

    /// The nodes that a node of a cluster counts as masters, but for those with the flag `not`, and those that all hold for gone,
    /// which take no writes.
    async fn masters(&self, node: &mut impl ConnectionLike, not: &str) -> RedisResult<Vec<ConnectionInfo>> {
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
            let takes_writes = has(&["master"]) && !has(&["fail", "handshake", "noaddr", not]);
            // A node that has met no other one does not know its address.
            if ip.is_empty() {
                return takes_writes.then(|| self.nodes[0].clone());
            }
            takes_writes.then_some(self.at(name.unwrap_or(ip).to_owned(), port.parse().ok()?))
        };
        Ok(nodes.lines().filter_map(master).collect())
    }
}

fn ensure_same(is_same: bool) -> RedisResult<()> {
    if is_same { Ok(()) } else { Err(io::Error::other("there is another primary").into()) }
}
