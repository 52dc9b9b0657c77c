//! The API server killed in the middle of a flush: the flush is finished and reported, no request fails.

use anyhow::Result;

use super::mid_flush::{self, Keys};
use crate::suite::Suite;
use crate::{PATIENCE, report, wait};

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let strike = async |(): &()| suite.cluster.kill_api_server(&suite.kubectl).await;
    mid_flush::strike(suite, "the API server", Keys::Stay, async || Ok(()), strike).await?;
    let pods = wait::until("both controllers ready", PATIENCE, async || {
        let pods = suite.kubectl.ready_pods("controller").await?;
        Ok((pods.len() == 2).then_some(pods))
    })
    .await?;
    let restarts: u64 = pods.iter().map(|pod| pod.restarts).sum();
    report::say(format!("both controllers are ready; their pods have restarted {restarts} times so far"));
    Ok(())
}
