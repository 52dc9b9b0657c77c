//! The API server killed in the middle of a flush: the flush is finished and reported, no request fails.

use anyhow::Result;

use super::mid_flush;
use crate::kubectl;
use crate::suite::Suite;
use crate::{PATIENCE, wait};

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    let strike = async |(): &()| suite.cluster.kill_api_server().await;
    mid_flush::strike(suite, "the API server", async || Ok(()), strike).await?;
    wait::until("both controllers ready", PATIENCE, async || {
        Ok((kubectl::ready_pods("controller").await?.len() == 2).then_some(()))
    })
    .await
}
