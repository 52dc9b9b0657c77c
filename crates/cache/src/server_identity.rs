//! What the cache does on every new connection.

use redis::{RedisResult, aio::MultiplexedConnection};

use crate::{flush::renewed_generations, keys::SERVER_KEY};

/// Renews all generations if the server is not the one that they were made for.
///
/// A server that came back from a snapshot, or a replica that was promoted, may have lost the last flush and
/// still hold the entries from before it. Its `run_id` is a new one, so the first process to connect finds out,
/// and no process reads before it has looked.
pub(crate) async fn check_server(mut connection: MultiplexedConnection) -> RedisResult<()> {
    let run_id = match redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await {
        Ok(info) => info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned),
        Err(error) if error.is_io_error() || error.is_unrecoverable_error() => return Err(error),
        // Not permitted: every connection renews, which costs misses but nothing else.
        Err(_) => None,
    };
    let expected: Option<String> = redis::cmd("GET").arg(SERVER_KEY).query_async(&mut connection).await?;
    if run_id.is_some() && run_id == expected {
        return Ok(());
    }
    renewed_generations().exec_async(&mut connection).await?;
    redis::cmd("SET").arg(SERVER_KEY).arg(run_id.unwrap_or_default()).exec_async(&mut connection).await
}
