//! Redis killed under load fails no request; killed in the middle of a flush, the flush is finished once it is back.

use std::time::Instant;

use anyhow::Result;

use super::mid_flush;
use crate::kubectl::Pod;
use crate::suite::Suite;
use crate::{PATIENCE, report, wait};

pub(super) async fn run(suite: &Suite<'_>) -> Result<()> {
    suite
        .under_load_repeatedly(async || {
            let started = Instant::now();
            let pod = suite.redis_pod().await?;
            suite.cluster.kill(&pod).await?;
            wait::until("Redis started again", PATIENCE, async || {
                let now = suite.redis_pod().await?;
                Ok((now.restarts > pod.restarts).then_some(()))
            })
            .await?;
            wait::until("every API pod connected to Redis", PATIENCE, async || {
                let pods = suite.api_pods().await?;
                let up = suite.metric(&pods, "farmlokal_redis_up", r#"connection="cache""#).await?;
                Ok((up >= f64::from(u32::try_from(pods.len())?)).then_some(()))
            })
            .await?;
            report::done("Redis, emptied, is used again by every pod", started);
            Ok(())
        })
        .await?;
    let strike = async |pod: &Pod| suite.cluster.kill(pod).await;
    mid_flush::strike(suite, "Redis", async || suite.redis_pod().await, strike).await
}
