//! Shell patterns, as in `fnmatch(3)`.

/// Whether a name matches a pattern of `*`, `?`, `[…]` and `[!…]`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let mut name_rest = name.chars();
    match (rest.next(), name_rest.next()) {
        (None, first) => first.is_none(),
        (Some('*'), first) => {
            matches(rest.as_str(), name) || first.is_some() && matches(pattern, name_rest.as_str())
        }
        (Some(_), None) => false,
        (Some('?'), Some(_)) => matches(rest.as_str(), name_rest.as_str()),
        (Some('['), Some(first)) => match set(rest.as_str()) {
            Some((set, rest)) => contains(set, first) && matches(rest, name_rest.as_str()),
            // A bracket that is not closed stands for itself.
            None => first == '[' && matches(rest.as_str(), name_rest.as_str()),
        },
        (Some(own), Some(first)) => own == first && matches(rest.as_str(), name_rest.as_str()),
    }
}

/// What is in brackets, and what follows them. A bracket that comes first is one of the set.
fn set(pattern: &str) -> Option<(&str, &str)> {
    let first = pattern.find(|character| !matches!(character, '!' | '^'))?;
    let first = first + pattern[first..].chars().next()?.len_utf8();
    let end = first + pattern[first..].find(']')?;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn contains(set: &str, character: char) -> bool {
    let (is_inverted, set) = match set.strip_prefix(['!', '^']) {
        Some(set) => (true, set),
        None => (false, set),
    };
    let mut rest: Vec<char> = set.chars().rev().collect();
    let mut is_listed = false;
    while let Some(first) = rest.pop() {
        // A range, unless the dash is the last.
        let last = match rest.as_slice() {
            [.., last, '-'] => *last,
            _ => first,
        };
        if last != first {
            rest.truncate(rest.len() - 2);
        }
        is_listed |= (first..=last).contains(&character);
    }
    is_listed != is_inverted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, matching, others) in [
            ("tap0", &["tap0"][..], &["tap", "tap01", "atap0"][..]),
            ("tap*", &["tap", "tap0", "tap*"], &["ta", "atap"]),
            ("*", &["", "x"], &[]),
            ("*p*0", &["tap0", "p0", "vpn0-p00"], &["tap1"]),
            ("t?p", &["tap", "tüp"], &["tp", "taap"]),
            ("en[po]*", &["enp3s0", "eno1"], &["enx0", "en"]),
            ("tun[0-9]", &["tun0", "tun9"], &["tunx", "tun-", "tun10"]),
            ("tun[!0-9]", &["tunx"], &["tun0", "tun"]),
            ("a[]b]", &["a]", "ab"], &["a"]),
            ("a[b", &["a[b"], &["ab"]),
            ("a[0-9x-]", &["a5", "ax", "a-"], &["a", "ay"]),
        ] {
            assert!(matching.iter().all(|name| matches(pattern, name)), "{pattern} of {matching:?}");
            assert!(!others.iter().any(|name| matches(pattern, name)), "{pattern} of {others:?}");
        }
    }
}
