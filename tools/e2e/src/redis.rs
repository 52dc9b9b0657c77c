//! Two commands of Redis's protocol, straight to its pod: to make a flush long, and to see how far it is.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::cluster::Reached;

/// Keys set by one script: some 20 ms of Redis's time, in which nobody else gets an answer.
const BATCH: u64 = 20_000;
/// Longer than a busy Redis takes. Where something between has gone without a word, no answer ever comes.
const PATIENCE: Duration = Duration::from_secs(10);
const SCRIPT: &str = "for i = ARGV[1], ARGV[2] do redis.call('SET', 'products:e2e:' .. i, '') end";

/// A connection to Redis.
pub(crate) struct Redis {
    stream: BufReader<TcpStream>,
    _reached: Reached,
}

impl Redis {
    /// # Errors
    /// It cannot be reached.
    pub(crate) async fn connect(reached: Reached) -> Result<Redis> {
        let stream = TcpStream::connect(&reached.target.address).await.context("Redis")?;
        stream.set_nodelay(true)?;
        Ok(Redis { stream: BufReader::new(stream), _reached: reached })
    }

    /// Adds so many keys under `products:*`, which no reader asks for.
    ///
    /// # Errors
    /// Redis refuses, or went away.
    pub(crate) async fn add_keys(&mut self, count: u64) -> Result<()> {
        let mut done = 0;
        while done < count {
            let last = count.min(done + BATCH);
            self.call(&["EVAL", SCRIPT, "0", &(done + 1).to_string(), &last.to_string()]).await?;
            done = last;
        }
        Ok(())
    }

    /// How many keys there are, under whatever name.
    ///
    /// # Errors
    /// Redis went away.
    pub(crate) async fn keys(&mut self) -> Result<u64> {
        let reply = self.call(&["DBSIZE"]).await?;
        reply.trim_start_matches(':').parse().with_context(|| format!("DBSIZE: {reply}"))
    }

    /// Sends a command whose reply is one line.
    async fn call(&mut self, words: &[&str]) -> Result<String> {
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(words));
        exchange.await.with_context(|| format!("Redis: no answer within {PATIENCE:?}"))?
    }

    async fn exchange(&mut self, words: &[&str]) -> Result<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            let _ = write!(request, "${}\r\n{word}\r\n", word.len());
        }
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut reply = String::new();
        if self.stream.read_line(&mut reply).await? == 0 {
            bail!("Redis closed the connection");
        }
        let reply = reply.trim_end();
        if let Some(complaint) = reply.strip_prefix('-') {
            bail!("Redis: {complaint}");
        }
        // EVAL's answer, nil, is "$-1"; all others are one line too.
        Ok(reply.to_owned())
    }
}
