//! Whether a flush is pending, decided from spec, status and annotations alone.

use crate::crd::{ProductCatalog, ProductCatalogStatus};

/// Why a flush is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Created,
    SpecChanged,
    Requested,
}

impl Cause {
    /// The word for it in conditions, and the sentence.
    pub(crate) fn reason_and_text(self) -> (&'static str, &'static str) {
        match self {
            Self::Created => ("Created", "The object was created."),
            Self::SpecChanged => ("SpecChanged", "The spec was changed."),
            Self::Requested => ("FlushRequested", "A flush was requested."),
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The object is being deleted.
    Ignore,
    /// No flush is pending.
    UpToDate,
    /// A flush is pending, and `spec.suspend` holds it back.
    Suspended,
    Flush(Cause),
}

/// Decides from the object and from its observed status, which may be newer than the object's own.
pub(crate) fn decide(object: &ProductCatalog, status: &ProductCatalogStatus) -> Decision {
    if object.metadata.deletion_timestamp.is_some() {
        return Decision::Ignore;
    }
    let request = object.flush_request();
    let cause = if status.flushed_generation.is_none() {
        Cause::Created
    } else if status.flushed_generation != object.metadata.generation {
        Cause::SpecChanged
    } else if request.is_some() && request != status.last_handled_request.as_deref() {
        Cause::Requested
    } else {
        return Decision::UpToDate;
    };
    if object.spec.suspend { Decision::Suspended } else { Decision::Flush(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;
    use crate::tests::catalog;

    const REQUEST: &str = "farmlokal.dev/flush-requested-at";

    #[test]
    fn a_pending_flush_is_decided_from_generation_request_and_status() {
        use Decision::{Flush, Ignore, Suspended, UpToDate};
        let handled = |generation: Option<i64>, request: Option<&str>| ProductCatalogStatus {
            flushed_generation: generation,
            last_handled_request: request.map(str::to_owned),
            ..ProductCatalogStatus::default()
        };
        // The object's generation and request; what the status says was handled; and what follows, suspended or not.
        for (generation, request, observed, expected) in [
            (1, None, handled(None, None), Flush(Cause::Created)),
            (1, Some("a"), handled(None, None), Flush(Cause::Created)),
            (1, None, handled(Some(1), None), UpToDate),
            (2, None, handled(Some(1), None), Flush(Cause::SpecChanged)),
            // A status from a backup.
            (1, None, handled(Some(7), None), Flush(Cause::SpecChanged)),
            (2, Some("a"), handled(Some(1), None), Flush(Cause::SpecChanged)),
            (1, Some("a"), handled(Some(1), None), Flush(Cause::Requested)),
            (1, Some("a"), handled(Some(1), Some("a")), UpToDate),
            (1, Some("b"), handled(Some(1), Some("a")), Flush(Cause::Requested)),
            // A request that is withdrawn is none.
            (1, None, handled(Some(1), Some("a")), UpToDate),
            (1, Some(""), handled(Some(1), Some("a")), UpToDate),
        ] {
            for suspend in [false, true] {
                let mut object = catalog(|o| {
                    o["metadata"]["generation"] = generation.into();
                    o["spec"]["suspend"] = suspend.into();
                    if let Some(request) = request {
                        o["metadata"]["annotations"][REQUEST] = request.into();
                    }
                });
                let expected = if suspend && expected != UpToDate { Suspended } else { expected };
                assert_eq!(
                    decide(&object, &observed),
                    expected,
                    "{generation} {request:?} {observed:?} {suspend}"
                );
                object.metadata.deletion_timestamp = Some(status::now());
                assert_eq!(decide(&object, &observed), Ignore);
            }
        }
    }
}
