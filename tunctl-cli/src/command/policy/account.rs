//! A user and the user's groups, from `/etc/passwd` and `/etc/group`: the lists that the helper reads for the
//! names in its policy.

use std::fs;
use std::io;

use serde::Serialize;
use tunctl::Escaped;
use tunctl_helper::policy::Caller;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// The number that no group has.
const NO_GROUP: u32 = u32::MAX;

/// A user.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) name: Option<String>,
    /// The user's own group first.
    pub(super) groups: Vec<Group>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) gid: u32,
    pub(super) name: Option<String>,
}

/// The two lists.
pub(super) struct Lists {
    users: String,
    groups: String,
}

impl Lists {
    pub(super) fn read() -> Result<Self, String> {
        let read = |path: &str| {
            let failed = |error: io::Error| format!("read {path}: {error}");
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(failed)
        };
        Ok(Self { users: read(USERS)?, groups: read(GROUPS)? })
    }

    /// A user by name or number, with the groups that a new session of that user has.
    pub(super) fn account(&self, user: &str) -> Result<Account, String> {
        let number: Option<u32> = user.parse().ok().filter(|&uid| uid != u32::MAX);
        let mut lines = entries(&self.users).filter_map(|fields| match fields[..] {
            [name, _, uid, gid, ..] => Some((name, uid.parse().ok()?, gid.parse().ok()?)),
            _ => None,
        });
        let entry = lines.find(|&(name, uid, _): &(&str, u32, u32)| name == user || number == Some(uid));
        match (entry, number) {
            (Some((name, uid, gid)), _) => {
                let further = self.groups_of(name).filter(|&further| further != gid);
                let groups: Vec<_> = [gid].into_iter().chain(further).collect();
                Ok(self.named(uid, &groups))
            }
            (None, Some(uid)) => Ok(self.named(uid, &[])),
            (None, None) => Err(format!("{USERS} has no user of the name {}", Escaped::new(user))),
        }
    }

    /// With the names of the user and the groups.
    pub(super) fn named(&self, uid: u32, groups: &[u32]) -> Account {
        let named = |&gid: &u32| Group { gid, name: name_of(&self.groups, gid) };
        Account { uid, name: name_of(&self.users, uid), groups: groups.iter().map(named).collect() }
    }

    fn groups_of(&self, user: &str) -> impl Iterator<Item = u32> {
        entries(&self.groups).filter_map(move |fields| match fields[..] {
            [_, _, gid, members, ..] if members.split(',').any(|member| member == user) => gid.parse().ok(),
            _ => None,
        })
    }
}

impl Account {
    /// As the policy sees the user.
    pub(super) fn caller(&self) -> Caller {
        let mut groups = self.groups.iter().map(|group| group.gid);
        let gid = groups.next().unwrap_or(NO_GROUP);
        Caller { uid: self.uid, gid, groups: groups.collect() }
    }

    /// The name, or the number where there is none.
    pub(super) fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("user {}", self.uid))
    }
}

/// The fields of each line.
fn entries(list: &str) -> impl Iterator<Item = Vec<&str>> {
    list.lines().map(|line| line.split(':').collect())
}

/// Of both lists, the third field is the number.
fn name_of(list: &str, id: u32) -> Option<String> {
    entries(list).find_map(|fields| match fields[..] {
        [name, _, number, _, ..] if number.parse() == Ok(id) => Some(name.to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        Lists {
            users: "root:x:0:0::/root:/bin/sh\nbroken\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:50::/:\n7:x:8:8::/:\n"
                .into(),
            groups: "root:x:0:\nalice:x:1000:\nvpn:x:50:alice,bob\nlab:x:60:bobby,alice\nshort:x:70\n".into(),
        }
    }

    fn groups_of(user: &str) -> Vec<(u32, Option<String>)> {
        let groups = lists().account(user).unwrap().groups;
        groups.into_iter().map(|group| (group.gid, group.name)).collect()
    }

    #[test]
    fn a_user_has_its_own_group_and_those_that_list_it() {
        let group = |gid, name: &str| (gid, Some(name.to_owned()));
        assert_eq!(groups_of("alice"), [group(1000, "alice"), group(50, "vpn"), group(60, "lab")]);
        assert_eq!(groups_of("1000"), groups_of("alice"));
        assert_eq!(groups_of("bob"), [group(50, "vpn")], "a group that is the own one counts once");
        let caller = lists().account("alice").unwrap().caller();
        assert_eq!(caller, Caller { uid: 1000, gid: 1000, groups: vec![50, 60] });
    }

    #[test]
    fn a_number_without_a_name_has_no_group() {
        let nobody = lists().account("4711").unwrap();
        assert_eq!(nobody, Account { uid: 4711, name: None, groups: Vec::new() });
        assert_eq!(nobody.caller(), Caller { uid: 4711, gid: u32::MAX, groups: Vec::new() });
        for wrong in ["carol", "", "4294967295", "-1", "broken", "alice:x"] {
            assert!(lists().account(wrong).is_err(), "{wrong}");
        }
    }
}
