//! Whose traces are kept, and what is no trace.

use std::time::Duration;

use crate::collector::Collector;
use crate::harness::PATIENCE;
use crate::traces::{remote, traced};

/// A client's own trace without `traceparent`, and one whose sampling flag is off.
#[tokio::test]
async fn sampling_follows_clients_that_are_trusted_and_then_the_ratio() {
    let collector = Collector::http().await;
    let sampler = [
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
        ("TRUST_TRACEPARENT", "true"),
    ];
    let api = traced(&collector, &sampler).await;
    let (trace, header) = remote(4);
    for _ in 0..5 {
        assert_eq!(api.get("/products").await.status, 200);
    }
    let unsampled = format!("00-{}-b7ad6b7169203331-00", "05".repeat(16));
    assert_eq!(api.get_with("/products", &[("traceparent", &unsampled)]).await.status, 200);
    assert_eq!(api.get_with("/products", &[("traceparent", &header)]).await.status, 200);
    collector.trace(&trace, |spans| !spans.is_empty()).await;
    assert!(collector.spans().iter().all(|span| span.trace == trace), "{:#?}", collector.spans());
}

/// Neither the flag nor an id that is within any ratio makes a stranger's requests traces; and none keeps them out.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_decide_what_is_sampled() {
    let collector = Collector::http().await;
    for (ratio, flag, sampled) in [("0", "01", false), ("1", "00", true)] {
        let sampler =
            [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)];
        let mut api = traced(&collector, &sampler).await;
        let before = collector.spans().len();
        let trace = format!("{}{}", "06".repeat(8), "00".repeat(8));
        let header = format!("00-{trace}-b7ad6b7169203331-{flag}");
        assert_eq!(api.get_with("/products", &[("traceparent", &header)]).await.status, 200);
        // Whatever there is, it is exported by then.
        api.process().signal("TERM");
        assert_eq!(api.process().ended().await.code(), Some(0));
        let spans = collector.spans().split_off(before);
        assert_eq!(spans.iter().any(|span| span.trace == trace && span.name == "GET /products"), sampled);
        assert_eq!(spans.is_empty(), !sampled, "{spans:#?}");
    }
}

#[tokio::test]
async fn a_malformed_parent_is_no_parent() {
    let collector = Collector::http().await;
    let api = traced(&collector, &[]).await;
    for (number, bad) in ["", "00-0-0-01", "00-zz-b7ad6b7169203331-01", &"9".repeat(4000)].iter().enumerate()
    {
        let id = format!("malformed-{number}");
        let headers = [("traceparent", *bad), ("x-request-id", id.as_str())];
        assert_eq!(api.get_with("/livez", &headers).await.status, 200);
        let deadline = std::time::Instant::now() + PATIENCE;
        let span = loop {
            let found = collector.spans().into_iter().find(|span| span.get("farmlokal.request_id") == id);
            if let Some(span) = found {
                break span;
            }
            assert!(std::time::Instant::now() < deadline, "{bad}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((span.name.as_str(), span.parent.as_str()), ("GET /livez", ""));
    }
}
