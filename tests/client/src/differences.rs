//! Differences of Cumulo from Kinto that the scenarios meet, with the reasons. docs/differences.md
//! has them too.

use serde_json::Value;

/// What may differ.
struct OnPurpose {
    name: &'static str,
    /// Whether it is this one, by the scenario and the results of Cumulo and Kinto.
    is: fn(&str, &Value, &Value) -> bool,
}

const ON_PURPOSE: &[OnPurpose] = &[];

/// The name of the difference, if it is on purpose.
pub(crate) fn on_purpose(scenario: &str, ours: &Value, theirs: &Value) -> Option<&'static str> {
    let difference = ON_PURPOSE.iter().find(|it| (it.is)(scenario, ours, theirs));
    difference.map(|it| it.name)
}
