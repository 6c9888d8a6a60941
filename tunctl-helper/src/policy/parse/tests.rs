use super::*;

struct Two;

impl Accounts for Two {
    fn user(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok((name == "alice").then_some(1000))
    }

    fn group(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok((name == "vpn").then_some(500))
    }
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text, &Two).map_err(|error| error.to_string())
}

fn refused(text: &str, why: &str) {
    let error = parse(text).expect_err(text);
    assert!(error.contains(why), "{text}\n{error}");
}

#[test]
fn the_example_allows_nothing_and_says_something_when_its_rule_counts() {
    assert_eq!(parse(super::super::EXAMPLE), Ok(Policy::default()));
    let rule: String = super::super::EXAMPLE
        .lines()
        .skip_while(|line| *line != "# [[rule]]")
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    let policy = parse(&rule).unwrap();
    assert_eq!(policy.rules.len(), 1);
    assert_eq!(policy.rules[0].subject, Subject::User(1000));
    assert_eq!(policy.rules[0].addresses.len(), 2);
}

#[test]
fn what_is_not_written_has_a_value() {
    let policy = parse("[[rule]]\nuser = 7\nnames = ['vpn%d']\n").unwrap();
    let rule = &policy.rules[0];
    assert_eq!(rule.layers, Layers { tun: true, tap: false });
    assert_eq!((rule.devices, &rule.mtu, &rule.queue_length), (1, &(576..=1500), &(0..=1000)));
    assert_eq!((rule.addresses.len(), rule.namespaces.as_slice()), (0, &[NamespaceRule::Own][..]));
    assert_eq!(parse(""), Ok(Policy::default()));
}

#[test]
fn users_and_groups_are_names_or_numbers() {
    for (text, subject) in [
        ("user = 'alice'", Subject::User(1000)),
        ("user = 0", Subject::User(0)),
        ("user = '12'", Subject::User(12)),
        ("user = 4294967294", Subject::User(4_294_967_294)),
        ("group = 'vpn'", Subject::Group(500)),
        ("group = 7", Subject::Group(7)),
    ] {
        let policy = parse(&format!("[[rule]]\n{text}\nnames = ['vpn%d']\n")).unwrap();
        assert_eq!(policy.rules[0].subject, subject);
    }
    for text in [
        "user = 'bob'",
        "group = 'alice'",
        "user = 4294967295",
        "user = '4294967295'",
        "user = -1",
        "user = ''",
        "user = 1.5",
        "user = ['alice']",
        "user = true",
        "user = 'alice'\ngroup = 'vpn'",
        "",
    ] {
        assert!(parse(&format!("[[rule]]\n{text}\nnames = ['vpn%d']\n")).is_err(), "{text}");
    }
}

#[test]
fn what_a_policy_says_twice_or_does_not_know_is_refused() {
    let rule = "[[rule]]\nuser = 'alice'\nnames = ['vpn%d']\n";
    refused(&format!("{rule}user = 'alice'\n"), "duplicate key");
    refused(&format!("{rule}name = 'x'\n"), "unknown field");
    refused(&format!("{rule}{rule}"), "line 4: user 1000 gets the name vpn%d twice");
    refused("[[rule]]\nuser = 7\nnames = ['vpn%d', 'vpn%d']\n", "twice");
    refused("[rule]\nuser = 7\nnames = ['vpn%d']\n", "");
    refused("[[rules]]\nuser = 7\nnames = ['vpn%d']\n", "unknown field");
    refused("rule = 1\n", "");
    refused("allow = 'all'\n", "unknown field");
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_line() {
    let with = |text: &str| format!("[[rule]]\nuser = 7\nnames = ['vpn%d']\n{text}\n");
    for (text, why) in [
        ("layers = []", "layers has no items"),
        ("layers = ['ppp']", "unknown variant"),
        ("devices = 0", "devices is 0"),
        ("devices = -1", "line 4"),
        ("devices = 4294967296", "line 4"),
        ("addresses = ['127.0.0.0/8']", "the host itself"),
        ("addresses = ['10.0.0.1/8']", "begins at"),
        ("mtu = [1500, 576]", "mtu is from and to"),
        ("mtu = [67, 1500]", "within 68 to 65535"),
        ("mtu = [68, 65536]", "within 68 to 65535"),
        ("mtu = 1500", "line 4"),
        ("mtu = [68]", "line 4"),
        ("queue_length = [2, 1]", "queue_length"),
        ("namespaces = []", "namespaces has no items"),
        ("namespaces = ['host']", "neither"),
        ("namespaces = ['run/netns/lab']", "neither"),
        ("namespaces = ['/run/netns/../lab']", "neither"),
    ] {
        refused(&with(text), why);
    }
    refused("[[rule]]\nuser = 7\nnames = []\n", "names has no items");
    refused("[[rule]]\nuser = 7\n", "missing field");
    refused("[[rule]]\nuser = 7\nnames = ['lo']\n", "the rule of line 1: the name `lo`");
}

#[test]
fn what_is_no_plain_text_is_refused() {
    let rule = "[[rule]]\nuser = 7\nnames = ['vpn%d']\n";
    refused(&format!("\u{feff}{rule}"), "line 1: a byte order mark");
    refused(&format!("{rule}\0"), "line 4");
    refused(&format!("{rule}# \0"), "line 4");
    assert!(parse(&rule.replace('\n', "\r\n")).is_ok(), "CRLF is a line's end");
    refused(&rule.replace('\n', "\r"), "");
    // Deeper than any parser wants to follow.
    refused(&format!("a = {}", "[".repeat(30_000)), "");
    refused(&format!("{}a = 1", "a.".repeat(30_000)), "");
    refused(&format!("a = {}", "{a=".repeat(20_000)), "");
}

#[test]
fn there_are_bounds() {
    let rule = |uid: usize| format!("[[rule]]\nuser = {uid}\nnames = ['vpn%d']\n");
    let rules = |count| (0..count).map(rule).collect::<String>();
    assert_eq!(parse(&rules(MOST_RULES)).unwrap().rules.len(), MOST_RULES);
    refused(&rules(MOST_RULES + 1), "more than 256 rules");
    let names = |count: usize| (0..count).map(|number| format!("'vpn{number}',")).collect::<String>();
    assert!(parse(&format!("[[rule]]\nuser = 7\nnames = [{}]\n", names(64))).is_ok());
    refused(&format!("[[rule]]\nuser = 7\nnames = [{}]\n", names(65)), "more than 64");
}
