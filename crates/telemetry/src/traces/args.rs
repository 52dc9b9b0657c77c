#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]
#![allow(clippy::struct_field_names, reason = "the names are OpenTelemetry's")]

use clap::Args;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, ShouldSample};
use url::Url;

use super::sampler::for_untrusted_clients;
use super::values::{Hidden, Pairs, endpoint, headers, pairs, ratio};

/// What is traced, and where spans go: OpenTelemetry's own variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// The collector that gets spans, such as http://collector:4318; without an endpoint nothing is traced
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_parser = endpoint)]
    otel_exporter_otlp_endpoint: Option<Hidden<Url>>,
    /// The same for traces alone; with HTTP it is used as it is, where the other one gets /v1/traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", hide_env_values = true, value_parser = endpoint)]
    otel_exporter_otlp_traces_endpoint: Option<Hidden<Url>>,
    /// How spans are sent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", default_value = "http/protobuf", value_parser = ["grpc", "http/protobuf"])]
    otel_exporter_otlp_protocol: String,
    /// Headers for the collector: name=value,name=value with percent-encoded values
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true, default_value = "", value_parser = headers)]
    pub(super) otel_exporter_otlp_headers: Pairs,
    /// service.name of the spans; by default the name of the program
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    otel_service_name: Option<String>,
    /// Attributes of this process, on all its spans: name=value,name=value with percent-encoded values
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "", value_parser = pairs)]
    otel_resource_attributes: Pairs,
    /// Which traces are kept
    #[arg(long, env = "OTEL_TRACES_SAMPLER", default_value = SAMPLERS[3], value_parser = SAMPLERS)]
    otel_traces_sampler: String,
    /// The share of traces that the ratio samplers keep, from 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = ratio)]
    otel_traces_sampler_arg: f64,
    /// Let the sampled flag of a request's traceparent decide whether it is traced, as the parentbased samplers say: only
    /// where all clients are trusted. Otherwise the sampler decides by itself; the trace goes on either way
    #[arg(long, env = "TRUST_TRACEPARENT", default_value_t = false, action = clap::ArgAction::Set)]
    trust_traceparent: bool,
    /// true: nothing is traced, whatever the other settings say
    #[arg(long, env = "OTEL_SDK_DISABLED", default_value_t = false, action = clap::ArgAction::Set)]
    otel_sdk_disabled: bool,
}

/// The samplers that the specification names.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl TraceArgs {
    /// Where spans go; `None` where nothing is traced.
    pub(super) fn endpoint(&self) -> Option<Url> {
        let for_all = || {
            let Hidden(mut url) = self.otel_exporter_otlp_endpoint.clone()?;
            if !self.is_grpc() {
                url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
            }
            Some(url)
        };
        let for_traces = self.otel_exporter_otlp_traces_endpoint.clone().map(|Hidden(url)| url);
        for_traces.or_else(for_all).filter(|_| !self.otel_sdk_disabled)
    }

    pub(super) fn is_grpc(&self) -> bool {
        self.otel_exporter_otlp_protocol == "grpc"
    }

    pub(super) fn sampler(&self) -> Box<dyn ShouldSample> {
        let root = self.otel_traces_sampler.trim_start_matches("parentbased_");
        let is_root = root == self.otel_traces_sampler;
        let root = match root {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            _ => Sampler::TraceIdRatioBased(self.otel_traces_sampler_arg),
        };
        match self.trust_traceparent {
            false => for_untrusted_clients(root).into(),
            true if is_root => root.into(),
            true => Sampler::ParentBased(root.into()).into(),
        }
    }

    /// What the spans say they come from. All programs have one version.
    pub(super) fn resource(&self, program: &'static str) -> Resource {
        let given = &self.otel_resource_attributes.0;
        let given = given.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let name = self.otel_service_name.clone().map(|name| KeyValue::new("service.name", name));
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let defaults = [KeyValue::new("service.name", program), version];
        // The later ones win. The builder's own detectors know the SDK's name and version.
        Resource::builder().with_attributes(defaults.into_iter().chain(given).chain(name)).build()
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        traces: TraceArgs,
    }

    /// Whatever the environment of the tests holds.
    fn parse(flags: &[&str]) -> Result<TraceArgs, clap::Error> {
        let command = Cli::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = command.try_get_matches_from([&["x"], flags].concat())?;
        Ok(Cli::from_arg_matches(&matches)?.traces)
    }

    #[test]
    fn the_endpoint_is_chosen_as_the_specification_says() {
        let endpoint = |flags: &[&str]| parse(flags).unwrap().endpoint().map(String::from);
        let general = ["--otel-exporter-otlp-endpoint", "http://c:4318/base/"];
        let traces = ["--otel-exporter-otlp-traces-endpoint", "http://t:4318/own"];
        let grpc = ["--otel-exporter-otlp-protocol", "grpc"];
        let off = ["--otel-sdk-disabled", "true"];
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&general).unwrap(), "http://c:4318/base/v1/traces");
        assert_eq!(endpoint(&[general, traces].concat()).unwrap(), "http://t:4318/own");
        assert_eq!(endpoint(&[general, grpc].concat()).unwrap(), "http://c:4318/base/");
        assert_eq!(endpoint(&[general, off].concat()), None);
    }

    #[test]
    fn every_sampler_has_its_name() {
        let ratio = "TraceIdRatioBased(0.25)";
        for (name, expected) in [
            ("always_on", "AlwaysOn"),
            ("always_off", "AlwaysOff"),
            ("traceidratio", ratio),
            ("parentbased_always_on", "ParentBased(AlwaysOn)"),
            ("parentbased_always_off", "ParentBased(AlwaysOff)"),
            ("parentbased_traceidratio", &format!("ParentBased({ratio})")),
        ] {
            let named = ["--otel-traces-sampler", name, "--otel-traces-sampler-arg", "0.25"];
            let trusting = parse(&[&named[..], &["--trust-traceparent", "true"]].concat()).unwrap();
            assert_eq!(format!("{:?}", trusting.sampler()), expected);
            let sampler = format!("{:?}", parse(&named).unwrap().sampler());
            assert!(
                sampler.starts_with("ParentBasedSampler") && sampler.contains("WithOtherId"),
                "{sampler}"
            );
        }
    }

    #[test]
    fn a_service_name_wins_over_the_attributes_and_these_over_the_program() {
        let name = |flags: &[&str]| {
            let resource = parse(flags).unwrap().resource("program");
            resource.get(&"service.name".into()).unwrap().to_string()
        };
        let attributes = ["--otel-resource-attributes", "service.name=attribute,k8s.pod.name=a"];
        assert_eq!(name(&[]), "program");
        assert_eq!(name(&attributes), "attribute");
        assert_eq!(name(&[attributes, ["--otel-service-name", "given"]].concat()), "given");
    }

    #[test]
    fn a_bad_value_is_refused() {
        for bad in [
            ["--otel-exporter-otlp-endpoint", "collector:4317"],
            ["--otel-exporter-otlp-protocol", "http/json"],
            ["--otel-exporter-otlp-headers", "token"],
            ["--otel-traces-sampler", "sometimes"],
            ["--otel-traces-sampler-arg", "2"],
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
    }
}
