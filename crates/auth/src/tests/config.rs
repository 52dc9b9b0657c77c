use clap::{CommandFactory as _, Parser};

use crate::AuthConfig;
use crate::config::{Issuer, key_url};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    auth: AuthConfig,
}

fn parse(flags: &[&str]) -> Result<AuthConfig, String> {
    let plain = Cli::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
    let matches = plain.try_get_matches_from([&["x"], flags].concat()).map_err(|error| error.to_string())?;
    Ok(<Cli as clap::FromArgMatches>::from_arg_matches(&matches).unwrap().auth)
}

#[test]
fn without_an_issuer_nothing_is_set() {
    let config = parse(&[]).unwrap();
    assert!(config.issuer().is_none());
    assert_eq!((config.scope(), config.leeway.as_secs()), ("products:write", 30));
}

#[test]
fn issuer_and_audience_need_each_other() {
    let (issuer, audience) = (["--auth-issuer", "https://i.test/"], ["--auth-audience", "a"]);
    let keys = ["--auth-jwks-url", "https://i.test/keys"];
    let config = parse(&[issuer, audience, keys].concat()).unwrap();
    assert_eq!(config.issuer().map(Issuer::as_str), Some("https://i.test/"));
    assert!(parse(&issuer).unwrap_err().contains("--auth-audience"));
    assert!(parse(&audience).unwrap_err().contains("--auth-issuer"));
    assert!(parse(&[issuer, ["--auth-audience", ""]].concat()).is_err());
    assert!(parse(&keys).unwrap_err().contains("--auth-issuer"));
}

#[test]
fn keys_come_by_https_or_from_near_by() {
    for good in [
        "https://issuer.test/a",
        "http://localhost:5100",
        "http://a.localhost",
        "http://127.0.0.1:5100",
        "http://127.8.8.8",
        "http://[::1]/",
        "http://keycloak:8080/realms/r",
        "http://keycloak.auth.svc:8080",
        "http://keycloak.auth.svc.cluster.local",
    ] {
        assert!(key_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "issuer.test",
        "http://issuer.test",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://svc.evil.test",
        "http://notlocalhost.test",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://user@issuer.test",
        "https://u:p@issuer.test",
        "https://issuer.test/#a",
        "https://",
    ] {
        assert!(key_url(bad).is_err(), "{bad}");
    }
    assert!("https://issuer.test/?a=b".parse::<Issuer>().is_err());
}

#[test]
fn discovery_is_behind_the_path_and_before_it() {
    for (issuer, openid, oauth) in [
        (
            "https://i.test",
            "https://i.test/.well-known/openid-configuration",
            "https://i.test/.well-known/oauth-authorization-server",
        ),
        (
            "https://i.test:8443/realms/r/",
            "https://i.test:8443/realms/r/.well-known/openid-configuration",
            "https://i.test:8443/.well-known/oauth-authorization-server/realms/r",
        ),
    ] {
        let urls = issuer.parse::<Issuer>().unwrap().discovery_urls();
        assert_eq!(urls.map(String::from), [openid, oauth]);
    }
}

#[test]
fn a_scope_is_one_word() {
    for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\n"] {
        assert!(parse(&["--auth-scope", bad]).is_err(), "{bad:?}");
    }
    assert_eq!(parse(&["--auth-scope", "https://a.test/write"]).unwrap().scope(), "https://a.test/write");
}
