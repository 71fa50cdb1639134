//! Differences on purpose, one by one, with the reasons. The user guide has them too.

use super::compare::Difference;
use super::peer::Request;

/// What may differ.
struct OnPurpose {
    name: &'static str,
    /// Whether it is this one.
    is: fn(&Request, &Difference) -> bool,
}

const ON_PURPOSE: &[OnPurpose] = &[
    OnPurpose {
        name: "the hello page tells where the settings are from",
        is: |request, it| request.path == "/" && it.place.starts_with("body/config"),
    },
    OnPurpose {
        name: "/__version__ needs no file",
        is: |request, _| request.path == "/__version__",
    },
    OnPurpose {
        name: "requests have names",
        is: |_, it| it.place == "header/x-request-id" && it.kinto == "(absent)",
    },
    OnPurpose {
        name: "passwords are masked",
        is: |request, it| {
            request.path.starts_with("/accounts")
                && it.place.ends_with("/password")
                && it.cumulo == "********"
        },
    },
    OnPurpose {
        // Nobody reads it. Kinto counts the object that it looks ahead to.
        name: "tokens of pages count the objects before them",
        is: |_, it| {
            it.place == "header/next-page/parameters/_token/offset"
                && it.kinto.as_u64() > it.cumulo.as_u64()
        },
    },
    OnPurpose {
        name: "all answers tell scripts the headers that they may read",
        is: |_, it| {
            it.place.ends_with("/access-control-expose-headers") && is_part(&it.kinto, &it.cumulo)
        },
    },
    OnPurpose {
        name: "items of batches have the headers of single answers",
        is: |request, it| {
            request.path == "/batch" && it.place.contains("/headers/") && it.kinto == "(absent)"
        },
    },
    OnPurpose {
        name: "only /batch itself can't be in a batch",
        is: |request, _| request.body.as_ref().is_some_and(|body| body.contains("/groups/batches")),
    },
    OnPurpose {
        // Kinto answers 500, and undoes the request.
        name: "partial answers work when history is on",
        is: |request, it| {
            let is_partial = request.headers.iter().any(|(name, _)| *name == "Response-Behavior");
            let is_failure = it.kinto == "(absent)" || it.cumulo == "(absent)" || it.kinto == 500;
            is_partial && is_failure && it.cumulo != 500
        },
    },
    OnPurpose {
        name: "redirects say so in other words",
        is: |request, it| request.path == "/buckets/" && it.place == "body",
    },
    OnPurpose {
        // Those of the JSON parser, and of patches that fail; Kinto's lists of content types come
        // in any order.
        name: "what can't be understood is explained in other words",
        is: |request, it| {
            let words = ["Invalid JSON", "JSON Patch operation failed", "Content-Type header"];
            request.body.is_some()
                && (it.place == "body/message" || it.place == "body/details/0/description")
                && words.iter().any(|words| {
                    [&it.kinto, &it.cumulo].iter().all(|it| it.to_string().contains(words))
                })
        },
    },
];

/// Whether all items of a list are in another; an absent one has none.
fn is_part(part: &serde_json::Value, whole: &serde_json::Value) -> bool {
    let items = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let whole = items(whole);
    items(part).iter().all(|item| whole.contains(item))
}

/// The name of a difference that is on purpose.
pub(super) fn name(request: &Request, difference: &Difference) -> Option<&'static str> {
    ON_PURPOSE.iter().find(|it| (it.is)(request, difference)).map(|it| it.name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ON_PURPOSE.iter().map(|it| it.name)
}
