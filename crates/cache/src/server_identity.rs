//! What the cache does on every new connection, and in a cluster again and again.

use std::sync::Arc;

use farmlokal_redis::Link;
use futures::future::try_join_all;
use redis::RedisResult;
use tokio::sync::Mutex;

use crate::keys::{TAGS, item_generation, list_generation, new_token, server_key};

/// The `run_id` of the server that this process has last found for each hash tag.
pub(crate) struct Identity(Box<[Mutex<Option<String>>]>);

impl Identity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self((0..TAGS).map(|_| Mutex::default()).collect()))
    }

    /// Renews the generations with a hash tag if the server is not the one that they were made for.
    ///
    /// A server that came back from a snapshot, or a replica that was promoted, may have lost the last flush and
    /// still hold the entries from before it. Its `run_id` is a new one, so the first process to connect finds out,
    /// and no process reads before it has looked. A process that has seen another server renews too: until now it may have
    /// sent that one its flushes.
    pub(crate) async fn check(self: Arc<Self>, link: Link, is_new: bool) -> RedisResult<()> {
        let checks = self.0.iter().zip(0..).map(|(last, tag)| check_tag(tag, last, link.clone(), is_new));
        try_join_all(checks).await.map(drop)
    }
}

async fn check_tag(tag: u64, last: &Mutex<Option<String>>, mut link: Link, is_new: bool) -> RedisResult<()> {
    let mut last = last.lock().await;
    let key = server_key(tag);
    let mut question = redis::pipe();
    // In this order, by which both go to the server that has the key.
    question.get(&key).cmd("INFO").arg("server").ignore_errors();
    let (expected, info): (RedisResult<Option<String>>, RedisResult<String>) =
        question.query_async(&mut link).await?;
    let expected = expected?;
    // Where it is not permitted every connection renews, which costs misses but nothing else; a cluster cannot be used then.
    let info = if link.is_cluster() { info? } else { info.unwrap_or_default() };
    let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned);
    let is_last = run_id == *last;
    let is_right = run_id.is_some() && run_id == expected && (is_last || last.is_none());
    if if is_new { !is_right } else { !is_last } {
        let mut renewal = redis::pipe();
        for generation in [list_generation(tag), item_generation(tag)] {
            renewal.set(generation, &new_token()[..]).ignore();
        }
        renewal.set(key, run_id.as_deref().unwrap_or_default()).ignore();
        link.run(&renewal).await?;
    }
    *last = run_id;
    Ok(())
}
