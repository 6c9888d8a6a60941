//! `tunctl features`.

use std::fs;

use serde_json::{Value, json};
use tunctl_testing::{Case, case, ip_json};

use super::process::tunctl;

pub(crate) fn cases() -> Vec<Case> {
    vec![case!(features_are_told_to_programs_and_to_people), case!(what_cannot_be_asked_is_null_and_unknown)]
}

fn told() -> Value {
    tunctl("features --json").json()
}

/// In which line of the text a feature is.
fn line_of<'a>(text: &'a str, feature: &str) -> &'a str {
    let line = text.lines().find(|line| line.split_whitespace().any(|word| word == feature));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("{feature}: {text}"))
}

fn features_are_told_to_programs_and_to_people() {
    let before = ip_json("link show");
    let told = told();
    // Every kernel since 3.8 has these.
    for feature in ["multi_queue", "vnet_hdr", "csum", "tso4", "mac_filter"] {
        assert_eq!(told[feature], true, "{told}");
    }
    let text = tunctl("features").ok();
    for (feature, value) in told.as_object().unwrap() {
        let word = if value == &json!(true) { "present" } else { "absent" };
        assert_eq!(line_of(&text, feature), word);
    }
    assert_eq!(ip_json("link show"), before);
}

fn what_cannot_be_asked_is_null_and_unknown() {
    for limit in ["net", "user"] {
        fs::write(format!("/proc/sys/user/max_{limit}_namespaces"), "0").unwrap();
    }
    let told = told();
    assert_eq!((&told["multi_queue"], &told["tso4"]), (&json!(true), &Value::Null));
    let text = tunctl("features").ok();
    assert_eq!((line_of(&text, "multi_queue"), line_of(&text, "tso4")), ("present", "unknown"));
    assert!(text.contains("takes a network namespace"), "{text}");
}
