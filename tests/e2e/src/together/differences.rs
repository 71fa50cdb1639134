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
        name: "the hello page tells about the program",
        is: |request, it| request.path == "/" && it.place.starts_with("body/config"),
    },
];

/// The name of a difference that is on purpose.
pub(super) fn name(request: &Request, difference: &Difference) -> Option<&'static str> {
    ON_PURPOSE.iter().find(|it| (it.is)(request, difference)).map(|it| it.name)
}

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ON_PURPOSE.iter().map(|it| it.name)
}
