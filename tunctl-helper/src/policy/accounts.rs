//! Users and groups by name.

use std::cell::OnceCell;
use std::path::Path;

use super::{PolicyError, file};

/// The most bytes of a list of accounts.
const MOST: u64 = 4 * 1024 * 1024;

/// Who has which number.
pub trait Accounts {
    /// The uid of a user. `Ok(None)`: there is none of that name.
    ///
    /// # Errors
    ///
    /// The list of users cannot be read.
    fn user(&self, name: &str) -> Result<Option<u32>, PolicyError>;

    /// The gid of a group. `Ok(None)`: there is none of that name.
    ///
    /// # Errors
    ///
    /// The list of groups cannot be read.
    fn group(&self, name: &str) -> Result<Option<u32>, PolicyError>;
}

/// The system's own lists, `/etc/passwd` and `/etc/group`.
///
/// Other sources (LDAP, systemd) are not asked: that takes code which the caller's environment, or a daemon,
/// can influence. A policy has such users by number.
#[derive(Clone, Debug, Default)]
pub struct Etc {
    users: OnceCell<String>,
    groups: OnceCell<String>,
}

impl Accounts for Etc {
    fn user(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok(number(list(&self.users, "/etc/passwd")?, name))
    }

    fn group(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok(number(list(&self.groups, "/etc/group")?, name))
    }
}

/// The text of a list, read once.
fn list<'a>(known: &'a OnceCell<String>, path: &str) -> Result<&'a str, PolicyError> {
    if let Some(text) = known.get() {
        return Ok(text);
    }
    // Users may put what they like into the field for their names, in whatever encoding (`chfn`).
    let text = String::from_utf8_lossy(&file::read(Path::new(path), MOST)?).into_owned();
    Ok(known.get_or_init(|| text))
}

/// The third field of the line whose first is the name, in both lists. A line that is none is passed over, as
/// the C library does; the first that has the name counts.
fn number(list: &str, name: &str) -> Option<u32> {
    let line = list.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let is_it = fields.next() == Some(name);
        let number = fields.nth(1)?;
        (is_it && fields.next().is_some()).then_some(number)
    })?;
    id(line)
}

/// The number of a user or a group. The greatest means none to the kernel.
pub(super) fn id(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&id| is_number && id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_with_its_number() {
        let list = "root:x:0:0:root:/root:/bin/sh\n# bob:x:7:\nbroken\nalice:x:1000:1000::/:/bin/sh\n\
                    alice:x:1:1::/:/bin/sh\nbig:x:4294967294:1::/:\nnone:x:4294967295:1::/:\nminus:x:-1:1:\n\
                    text:x:ten:1:\nshort:x:5\n";
        assert_eq!(number(list, "root"), Some(0));
        assert_eq!(number(list, "alice"), Some(1000), "the first counts");
        assert_eq!(number(list, "big"), Some(4_294_967_294));
        for none in ["bob", "none", "minus", "text", "short", "broken", "", "al", "alice:x", "Root", "x"] {
            assert_eq!(number(list, none), None, "{none}");
        }
    }
}
