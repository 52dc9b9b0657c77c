use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Sampler, SamplingResult, ShouldSample};

/// The sampler that the settings name, and who it listens to.
///
/// Whoever sends a request chooses its trace id and its sampled flag, so neither may decide what a stranger's request costs:
/// with the flag anybody could have all of his requests recorded, or none, and with ids of his choice he would be within
/// any ratio of them.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// As OpenTelemetry has it: it follows the flag of whoever sends a request.
    pub(super) trusting: Sampler,
    /// What it does with a trace that begins here.
    pub(super) root: Sampler,
    /// Whether requests come from those only who may decide.
    pub(super) trusts_clients: bool,
}

impl ShouldSample for Choice {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let ask = |sampler: &dyn ShouldSample, trace_id| {
            sampler.should_sample(parent, trace_id, name, kind, attributes, links)
        };
        if self.trusts_clients {
            return ask(&self.trusting, trace_id);
        }
        let parent = parent.map(|context| context.span().span_context().clone());
        match parent.filter(opentelemetry::trace::SpanContext::is_valid) {
            None => ask(&self.root, trace_id),
            Some(client) if client.is_remote() => {
                ask(&self.root, RandomIdGenerator::default().new_trace_id())
            }
            Some(ours) if ours.is_sampled() => ask(&Sampler::AlwaysOn, trace_id),
            Some(_) => ask(&Sampler::AlwaysOff, trace_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

    use opentelemetry_sdk::trace::SamplingDecision;

    use super::*;

    /// Whether a span below this parent is recorded. With this trace id it is within any ratio above zero.
    fn samples(choice: &Choice, parent: Option<(TraceFlags, bool)>) -> bool {
        let trace_id = TraceId::from(1_u128 << 64);
        let context = parent.map(|(flags, is_remote)| {
            let parent = SpanContext::new(trace_id, SpanId::from(1), flags, is_remote, TraceState::default());
            Context::new().with_remote_span_context(parent)
        });
        let context = context.unwrap_or_default();
        let result = choice.should_sample(Some(&context), trace_id, "x", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    fn choice(root: Sampler, trusts_clients: bool) -> Choice {
        Choice { trusting: Sampler::ParentBased(Box::new(root.clone())), root, trusts_clients }
    }

    const SAMPLED: TraceFlags = TraceFlags::SAMPLED;
    const NOT: TraceFlags = TraceFlags::NOT_SAMPLED;

    #[test]
    fn a_stranger_decides_nothing_and_what_was_decided_here_holds() {
        for (root, sampled) in [(Sampler::AlwaysOn, true), (Sampler::AlwaysOff, false)] {
            let choice = choice(root, false);
            assert_eq!(samples(&choice, Some((SAMPLED, true))), sampled);
            assert_eq!(samples(&choice, Some((NOT, true))), sampled);
            assert_eq!(samples(&choice, None), sampled);
            assert!(samples(&choice, Some((SAMPLED, false))));
            assert!(!samples(&choice, Some((NOT, false))));
        }
    }

    #[test]
    fn a_ratio_holds_for_ids_that_a_stranger_has_chosen() {
        let choice = choice(Sampler::TraceIdRatioBased(0.01), false);
        let recorded = (0..1_000).filter(|_| samples(&choice, Some((SAMPLED, true)))).count();
        assert!(recorded < 100, "{recorded} of 1000");
    }

    #[test]
    fn one_who_is_trusted_decides() {
        for root in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
            let choice = choice(root, true);
            assert!(samples(&choice, Some((SAMPLED, true))));
            assert!(!samples(&choice, Some((NOT, true))));
        }
    }
}
