#![allow(clippy::doc_markdown, reason = "the help texts are for terminals")]
#![allow(clippy::struct_field_names, reason = "the names are OpenTelemetry's")]

use clap::{Args, ValueEnum};
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::Sampler;
use url::Url;

use super::Service;
use super::sampler::Choice;
use super::values::{Endpoint, Pairs, endpoint, headers, pairs, ratio};

/// What is traced, and where spans go: OpenTelemetry's own variables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// The collector that gets spans, such as http://collector:4318; without an endpoint nothing is traced
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, value_parser = endpoint)]
    otel_exporter_otlp_endpoint: Option<Endpoint>,
    /// The same for traces alone; with HTTP it is used as it is, where the other one gets /v1/traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", hide_env_values = true, value_parser = endpoint)]
    otel_exporter_otlp_traces_endpoint: Option<Endpoint>,
    /// How spans are sent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_enum, default_value_t = OtlpProtocol::HttpProtobuf)]
    otel_exporter_otlp_protocol: OtlpProtocol,
    /// Headers for the collector: name=value,name=value with percent-encoded values
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true, default_value = "", value_parser = headers)]
    otel_exporter_otlp_headers: Pairs,
    /// service.name of the spans; by default the name of the program
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    otel_service_name: Option<String>,
    /// Attributes of this process, on all its spans: name=value,name=value with percent-encoded values
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", default_value = "", value_parser = pairs)]
    otel_resource_attributes: Pairs,
    /// Which traces are kept
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_enum, default_value_t = SamplerName::ParentbasedAlwaysOn)]
    otel_traces_sampler: SamplerName,
    /// The share of traces that the ratio samplers keep, from 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = ratio)]
    otel_traces_sampler_arg: f64,
    /// Let the sampled flag of a request's traceparent decide whether it is traced, as the parentbased samplers say: only
    /// where no stranger can send one. Otherwise the sampler decides by itself; the trace goes on either way
    #[arg(long, env = "TRUST_TRACEPARENT", default_value_t = false, action = clap::ArgAction::Set)]
    trust_traceparent: bool,
    /// true: nothing is traced, whatever the other settings say
    #[arg(long, env = "OTEL_SDK_DISABLED", default_value_t = false, action = clap::ArgAction::Set)]
    otel_sdk_disabled: bool,
}

/// A transport of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OtlpProtocol {
    #[value(name = "grpc")]
    Grpc,
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// The samplers that the specification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum SamplerName {
    AlwaysOn,
    AlwaysOff,
    #[value(name = "traceidratio")]
    TraceIdRatio,
    ParentbasedAlwaysOn,
    ParentbasedAlwaysOff,
    #[value(name = "parentbased_traceidratio")]
    ParentbasedTraceIdRatio,
}

impl TraceArgs {
    /// Where spans go; `None` where nothing is traced.
    pub(super) fn endpoint(&self) -> Option<Url> {
        if self.otel_sdk_disabled {
            return None;
        }
        let of = |endpoint: &Option<Endpoint>| endpoint.clone().and_then(|endpoint| endpoint.0);
        if let Some(for_traces) = of(&self.otel_exporter_otlp_traces_endpoint) {
            return Some(for_traces);
        }
        let mut url = of(&self.otel_exporter_otlp_endpoint)?;
        if self.protocol() == OtlpProtocol::HttpProtobuf {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/v1/traces"));
        }
        Some(url)
    }

    pub(super) fn protocol(&self) -> OtlpProtocol {
        self.otel_exporter_otlp_protocol
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        &self.otel_exporter_otlp_headers.0
    }

    pub(super) fn sampler(&self) -> Choice {
        use SamplerName::{
            AlwaysOff, AlwaysOn, ParentbasedAlwaysOff, ParentbasedAlwaysOn, ParentbasedTraceIdRatio,
            TraceIdRatio,
        };
        let root = match self.otel_traces_sampler {
            AlwaysOn | ParentbasedAlwaysOn => Sampler::AlwaysOn,
            AlwaysOff | ParentbasedAlwaysOff => Sampler::AlwaysOff,
            TraceIdRatio | ParentbasedTraceIdRatio => {
                Sampler::TraceIdRatioBased(self.otel_traces_sampler_arg)
            }
        };
        let trusting = match self.otel_traces_sampler {
            AlwaysOn | AlwaysOff | TraceIdRatio => root.clone(),
            ParentbasedAlwaysOn | ParentbasedAlwaysOff | ParentbasedTraceIdRatio => {
                Sampler::ParentBased(Box::new(root.clone()))
            }
        };
        Choice { trusting, root, trusts_clients: self.trust_traceparent }
    }

    pub(super) fn resource(&self, service: Service) -> Resource {
        let given = self.otel_resource_attributes.0.iter();
        let given = given.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let defaults =
            [KeyValue::new("service.name", service.name), KeyValue::new("service.version", service.version)];
        // The later ones win. The builder's own detectors know the SDK's name and version.
        let resource = Resource::builder().with_attributes(defaults).with_attributes(given);
        match self.otel_service_name.as_deref() {
            None | Some("") => resource.build(),
            Some(name) => resource.with_service_name(name.to_owned()).build(),
        }
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
        assert_eq!(endpoint(&["--otel-exporter-otlp-endpoint", ""]), None);
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
            let args = parse(&["--otel-traces-sampler", name, "--otel-traces-sampler-arg", "0.25"]).unwrap();
            assert_eq!(format!("{:?}", args.sampler().trusting), expected);
            assert!(!args.sampler().trusts_clients);
        }
    }

    #[test]
    fn a_service_name_wins_over_the_attributes_and_these_over_the_program() {
        let service = Service { name: "program", version: "1" };
        let name = |flags: &[&str]| {
            let resource = parse(flags).unwrap().resource(service);
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
