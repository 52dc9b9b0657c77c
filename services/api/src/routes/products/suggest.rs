//! `/products/suggest`

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use farmlokal_cache::Key;
use farmlokal_catalog::SearchText;
use percent_encoding::utf8_percent_encode;
use utoipa::IntoParams;

use super::list_params::{RESERVED, search_text};
use super::response::SuggestionsResponse;
use crate::answer::Answer;
use crate::app::App;
use crate::problem::{Code, InvalidParam, Problem, ProblemBody};
use crate::query::{self, read_params, whole_number};

const LIMITS: RangeInclusive<u32> = 1..=20;
const DEFAULT_LIMIT: u32 = 8;

/// The parameters, each within its own bounds.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SuggestParams {
    /// What the user has typed so far.
    #[param(value_type = String, min_length = 1, max_length = 255, example = "chee")]
    q: SearchText,
    /// Suggestions at the most.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 20, default = 8)]
    limit: u32,
}

impl SuggestParams {
    /// # Errors
    /// `invalid_parameter`, with every parameter that is wrong.
    fn read(uri: &Uri) -> Result<SuggestParams, Problem> {
        let (mut q, mut limit) = (None, DEFAULT_LIMIT);
        let mut invalid = read_params(uri.query().unwrap_or_default(), None, |name, value| {
            match name {
                "q" => q = Some(search_text(value)?),
                "limit" => limit = whole_number(value, &LIMITS)?,
                _ => return Err(("unknown_parameter", "is not a parameter of this resource".to_owned())),
            }
            Ok(())
        });
        match q {
            Some(q) if invalid.is_empty() => return Ok(SuggestParams { q, limit }),
            None if !invalid.iter().any(|param| param.name == "q") => {
                invalid.push(InvalidParam::new("q", "missing", "must be there"));
            }
            _ => {}
        }
        Err(Problem::naming(Code::InvalidParameter, invalid))
    }

    /// The same for all queries that have the same answer, and unlike what any other resource is cached by.
    fn canonical(&self) -> String {
        format!("suggest?limit={}&q={}", self.limit, utf8_percent_encode(self.q.as_str(), RESERVED))
    }
}

/// Suggest what to search for
///
/// Completions of a text's last word while a user types it, such as
/// [/products/suggest?q=chee](/products/suggest?q=chee).
#[utoipa::path(
    get,
    path = "/products/suggest",
    tag = "catalogue",
    params(SuggestParams),
    responses(
        (status = 200, description = "Completions; none where no product has the words", body = SuggestionsResponse),
        (status = 304, description = "The client's copy, named in If-None-Match, is still right"),
        (status = 400, description = "One or more parameters are wrong; each is named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "There is no search index yet, or the service is overloaded", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::routes) async fn suggest(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    let params = SuggestParams::read(&request.uri)?;
    let key = Key::List(params.canonical().into());
    app.answer(&request, &key, async move |_, search| {
        let (suggestions, is_stale) = search.suggest(&params.q, params.limit as usize).await?;
        let body = query::json(&SuggestionsResponse::from(&*suggestions))?;
        Ok(Answer::of_search(body, None, is_stale))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_with_one_answer_have_one_canonical_text() {
        let text = |uri: &'static str| SuggestParams::read(&Uri::from_static(uri)).map(|q| q.canonical());
        assert_eq!(text("/?q=Ripe%20%20CHEE").unwrap(), "suggest?limit=8&q=ripe%20chee");
        assert_eq!(text("/?limit=8&q=ripe+chee").unwrap(), "suggest?limit=8&q=ripe%20chee");
        assert_eq!(text("/?limit=20&q=a%26limit%3D1").unwrap(), "suggest?limit=20&q=a%26limit%3D1");
        for bad in [
            "/",
            "/?q=",
            "/?q=a&q=a",
            "/?q=a&limit=0",
            "/?q=a&limit=21",
            "/?q=a&limit=x",
            "/?q=a&x=1",
            "/?q=%FF",
        ] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
