use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{ParentBasedSampler, Sampler, SamplingResult, ShouldSample};

/// `root` decides for a span without a local parent. Other spans follow their parent.
///
/// A client chooses its trace id and its sampled flag, so neither may decide what its requests cost: with the flag it could
/// have all of them recorded, or none, and with ids of its choice it would be within any ratio.
pub(super) fn for_untrusted_clients(root: Sampler) -> ParentBasedSampler {
    let client = WithOtherId(root.clone());
    ParentBasedSampler::new(root)
        .with_remote_parent_sampled(client.clone())
        .with_remote_parent_not_sampled(client)
}

/// Asks as if the trace had a random id.
#[derive(Clone, Debug)]
struct WithOtherId(Sampler);

impl ShouldSample for WithOtherId {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let id = TraceId::from(rand::random::<u128>());
        self.0.should_sample(parent, id, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::SamplingDecision;

    use super::*;

    /// Whether a span below this parent is recorded. With this trace id it is within any ratio above zero.
    fn samples(sampler: &ParentBasedSampler, parent: Option<(TraceFlags, bool)>) -> bool {
        let trace_id = TraceId::from(1_u128 << 64);
        let context = parent.map(|(flags, is_remote)| {
            let parent = SpanContext::new(trace_id, SpanId::from(1), flags, is_remote, TraceState::default());
            Context::new().with_remote_span_context(parent)
        });
        let context = context.unwrap_or_default();
        let result = sampler.should_sample(Some(&context), trace_id, "x", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    const SAMPLED: TraceFlags = TraceFlags::SAMPLED;
    const NOT: TraceFlags = TraceFlags::NOT_SAMPLED;

    #[test]
    fn a_client_decides_nothing_and_what_was_decided_here_holds() {
        for (root, sampled) in [(Sampler::AlwaysOn, true), (Sampler::AlwaysOff, false)] {
            let sampler = for_untrusted_clients(root);
            assert_eq!(samples(&sampler, Some((SAMPLED, true))), sampled);
            assert_eq!(samples(&sampler, Some((NOT, true))), sampled);
            assert_eq!(samples(&sampler, None), sampled);
            assert!(samples(&sampler, Some((SAMPLED, false))));
            assert!(!samples(&sampler, Some((NOT, false))));
        }
    }

    #[test]
    fn a_ratio_holds_for_ids_that_a_client_has_chosen() {
        let sampler = for_untrusted_clients(Sampler::TraceIdRatioBased(0.01));
        let recorded = (0..1_000).filter(|_| samples(&sampler, Some((SAMPLED, true)))).count();
        assert!(recorded < 100, "{recorded} of 1000");
    }
}
