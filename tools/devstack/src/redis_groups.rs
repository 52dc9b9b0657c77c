//! Redis servers that belong together: a primary that Sentinels watch, and a cluster.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{Redis, TlsFiles, port};

const PATIENCE: Duration = Duration::from_secs(30);
/// Of each of a cluster's primaries, and what comes after the last.
const FIRST_SLOTS: [usize; 4] = [0, 5461, 10923, 16384];
/// After a diskless sync a replica gets the stream only a second later.
const OPTIONS: [&str; 4] = ["--repl-diskless-sync", "no", "--rdb-del-sync-files", "yes"];

/// A primary, a replica and three Sentinels. When the primary is gone the replica takes over within some four seconds.
pub struct RedisSentinels {
    /// The primary and the replica of the start.
    pub servers: [Redis; 2],
    /// Who have another primary elected if two of them say so.
    pub sentinels: Vec<Redis>,
}

impl RedisSentinels {
    /// Starts them, the first primary with these options, and waits until all know each other.
    ///
    /// # Errors
    /// The machine has no Redis, or they do not come together.
    pub fn start(options: &[&str]) -> Result<Self> {
        Self::start_with(None, options)
    }

    /// The same; with files, all take and make connections with TLS only.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(tls: Option<&TlsFiles>, options: &[&str]) -> Result<Self> {
        let primary = Redis::start_server(tls, &[&OPTIONS, options].concat())?;
        let port = primary.port().to_string();
        let replica =
            Redis::start_server(tls, &[&OPTIONS[..], &["--replicaof", "127.0.0.1", &port]].concat())?;
        let sentinels = (0..3).map(|_| Redis::start_sentinel(tls, primary.port())).collect::<Result<_>>()?;
        let group = Self { servers: [primary, replica], sentinels };
        until("the Sentinels are complete", || {
            Ok(group.sentinels.iter().all(|sentinel| {
                let info = sentinel.ask("INFO sentinel").unwrap_or_default();
                info.contains("status=ok") && info.contains("slaves=1,sentinels=3")
            }) && group.servers[0].ask("INFO replication")?.contains("state=online"))
        })?;
        Ok(group)
    }

    /// Such as `redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/shop`.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(address).collect();
        format!("redis+sentinel://{}/shop", sentinels.join(","))
    }
}

/// Three primaries and a replica of each. When a primary is gone its replica takes over within some five seconds.
pub struct RedisCluster {
    /// The primaries of the start; after them, in the same order, their replicas.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts it and waits until all nodes know each other.
    ///
    /// # Errors
    /// The machine has no Redis, or they do not come together.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// The same; with files, all take and make connections with TLS only.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(tls: Option<&TlsFiles>) -> Result<Self> {
        let nodes = (0..6).map(|_| RedisCluster::node_with(tls)).collect::<Result<Vec<_>>>()?;
        for (index, first) in FIRST_SLOTS.windows(2).enumerate() {
            nodes[index].ask(&format!("CLUSTER ADDSLOTSRANGE {} {}", first[0], first[1] - 1))?;
        }
        for (epoch, node) in (1..).zip(&nodes) {
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}"))?;
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            cluster.meet(node)?;
        }
        for index in 3..6 {
            let primary = id(&cluster.nodes[index - 3])?;
            until("a node becomes a replica", || {
                Ok(cluster.nodes[index].ask(&format!("CLUSTER REPLICATE {primary}"))?.starts_with("+OK"))
            })?;
        }
        until("the cluster is complete", || {
            let mut is_complete = true;
            for node in &cluster.nodes {
                let info = node.ask("CLUSTER INFO")?;
                is_complete &= info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:6");
                is_complete &= node.ask("CLUSTER NODES")?.matches("slave").count() == 3;
            }
            for node in &cluster.nodes[..3] {
                is_complete &= node.ask("INFO replication")?.contains("state=online");
            }
            Ok(is_complete)
        })?;
        Ok(cluster)
    }

    /// A node that belongs to no cluster yet.
    ///
    /// # Errors
    /// The machine has no Redis, or it does not start.
    pub fn node() -> Result<Redis> {
        Self::node_with(None)
    }

    fn node_with(tls: Option<&TlsFiles>) -> Result<Redis> {
        let bus = port::free()?.to_string();
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus];
        let others = ["--cluster-replica-validity-factor", "0"];
        Redis::start_server(tls, &[&OPTIONS[..], &options, &others].concat())
    }

    /// Makes a node part of the cluster.
    ///
    /// # Errors
    /// It does not answer.
    pub fn meet(&self, node: &Redis) -> Result<()> {
        let nodes = self.nodes[0].ask("CLUSTER NODES")?;
        let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
        let bus = own.split(['@', ' ', ',']).nth(2).unwrap_or_default();
        node.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", self.nodes[0].port()))?;
        until("a node is known", || Ok(self.nodes[0].ask("CLUSTER NODES")?.contains(&id(node)?)))
    }

    /// Such as `redis+cluster://127.0.0.1:1,127.0.0.1:2`: its primaries.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(address).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// The primary that has a slot, of those of the start.
    ///
    /// # Errors
    /// None answers.
    pub fn primary_of(&self, key: &str) -> Result<usize> {
        let answer = self.nodes[0].ask(&format!("CLUSTER KEYSLOT {key}"))?;
        let slot = slot_of(&answer);
        Ok(FIRST_SLOTS[1..3].iter().filter(|first| slot >= **first).count())
    }

    /// Moves the slot of a key to another node, ten keys at a time.
    ///
    /// # Errors
    /// A node does not answer.
    pub fn migrate(&self, key: &str, from: &Redis, to: &Redis) -> Result<()> {
        let slot = slot_of(&from.ask(&format!("CLUSTER KEYSLOT {key}"))?);
        let (source, target) = (id(from)?, id(to)?);
        // A new node waits for two seconds.
        until("the target takes keys", || Ok(to.ask("CLUSTER INFO")?.contains("cluster_state:ok")))?;
        ensure_ok(&to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {source}"))?)?;
        ensure_ok(&from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {target}"))?)?;
        // Longer than anybody tries again.
        sleep(Duration::from_millis(1500));
        loop {
            let answer = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 10"))?;
            let keys: Vec<_> = answer.lines().filter(|line| line.contains(&format!("{{{key}}}"))).collect();
            if keys.is_empty() {
                break;
            }
            let keys: Vec<_> = keys.iter().map(|key| format!("\"{key}\"")).collect();
            from.ask(&format!("MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {}", to.port(), keys.join(" ")))?;
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(1500));
        for node in [to, from] {
            ensure_ok(&node.ask(&format!("CLUSTER SETSLOT {slot} NODE {target}"))?)?;
        }
        Ok(())
    }
}

fn ensure_ok(answer: &str) -> Result<()> {
    ensure!(answer.starts_with("+OK"), "{answer}");
    Ok(())
}

/// Of an answer such as `:123`.
fn slot_of(answer: &str) -> usize {
    answer.trim_start_matches(':').lines().next().and_then(|slot| slot.parse().ok()).unwrap_or_default()
}

fn id(node: &Redis) -> Result<String> {
    Ok(node.ask("CLUSTER MYID")?.lines().nth(1).unwrap_or_default().to_owned())
}

fn address(server: &Redis) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
