use axum::http::Uri;

/// Requests that share a quota, by what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Everything but the others.
    Default,
    /// Lists with a search: they cost the database what they match.
    Search,
    /// A partner's events: few senders, many requests.
    Webhook,
}

impl Class {
    pub(crate) const ALL: [Class; 3] = [Class::Default, Class::Search, Class::Webhook];

    /// The policy's name in headers, metrics and Redis.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Default => "default",
            Class::Search => "search",
            Class::Webhook => "webhook",
        }
    }

    /// The class of a request for this URI.
    pub(crate) fn of(uri: &Uri) -> Class {
        match uri.path() {
            "/products" if uri.query().is_some_and(searches) => Class::Search,
            "/webhook" => Class::Webhook,
            _ => Class::Default,
        }
    }
}

/// Whether a query has the parameter `search`. A name that is written with escapes may be that: no honest client does it.
fn searches(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or(pair);
        name == "search" || name.contains('%')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_a_search_however_it_is_written() {
        let class = |uri: &'static str| Class::of(&Uri::from_static(uri));
        for uri in
            ["/products?search=x", "/products?limit=1&search=x", "/products?se%61rch=x", "/products?search"]
        {
            assert_eq!(class(uri), Class::Search, "{uri}");
        }
        for uri in
            ["/products", "/products?category=a%26search", "/products/1?search=x", "/search", "/x?search=x"]
        {
            assert_eq!(class(uri), Class::Default, "{uri}");
        }
        assert_eq!(class("/webhook?x"), Class::Webhook);
    }
}
