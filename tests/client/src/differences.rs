//! Differences of Cumulo from Kinto that the scenarios meet, with the reasons. docs/differences.md
//! has them too.

use serde_json::Value;

/// What may differ.
struct OnPurpose {
    name: &'static str,
    /// Whether it is this one, by the scenario and the results of Cumulo and Kinto.
    is: fn(&str, &Value, &Value) -> bool,
}

const ON_PURPOSE: &[OnPurpose] = &[
    OnPurpose {
        // Kinto shows the hash to whoever may read the account.
        name: "passwords of accounts are masked",
        is: |_, ours, theirs| {
            let theirs = theirs.to_string();
            theirs.contains("<password hash>")
                && theirs
                    .replace("<password hash>", "********")
                    .parse()
                    .is_ok_and(|it: Value| it == *ours)
        },
    },
    OnPurpose {
        name: "patches that fail are explained in other words",
        is: |_, ours, theirs| {
            let errno = |it: &Value| it["error"]["errno"].clone();
            let explains = |it: &Value| it.to_string().contains("JSON Patch operation failed: ");
            errno(ours) == errno(theirs) && explains(ours) && explains(theirs)
        },
    },
    OnPurpose {
        // Kinto answers 500.
        name: "partial answers work when history is on",
        is: |scenario, _, theirs| {
            scenario == "answers_have_as_much_as_is_wanted"
                && (theirs["error"]["status"] == 500 || theirs.is_null())
        },
    },
    OnPurpose {
        name: "HEAD of a history has the number of its entries",
        is: |scenario, ours, theirs| {
            let lacks_the_number = theirs["error"]["kind"] == "Answer";
            scenario == "history_is_counted" && ours["ok"] == 9 && lacks_the_number
        },
    },
    OnPurpose {
        // Kinto fails the whole batch.
        name: "a 304 inside a batch is reported as such",
        is: |scenario, _, theirs| {
            scenario == "not_modified_is_a_value_in_batches" && theirs["error"]["status"] == 500
        },
    },
];

/// The name of the difference, if it is on purpose.
pub(crate) fn on_purpose(scenario: &str, ours: &Value, theirs: &Value) -> Option<&'static str> {
    let difference = ON_PURPOSE.iter().find(|it| (it.is)(scenario, ours, theirs));
    difference.map(|it| it.name)
}
