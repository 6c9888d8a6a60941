//! How a system speaks: the numbers of its errors, and what interfaces may be called there.

use std::cell::RefCell;
use std::collections::HashMap;

use tunctl_packet::Layer;

use crate::{Names, Profile};

thread_local! {
    static DIALECT: RefCell<Dialect> = RefCell::default();
}

struct Dialect {
    profile: Profile,
    /// The suite's own names that mean another here.
    meant: HashMap<String, String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { profile: Profile::LINUX_6_18, meant: HashMap::new() }
    }
}

/// From now on, in this thread.
pub(crate) fn speak(profile: Profile) {
    DIALECT.set(Dialect { profile, meant: HashMap::new() });
}

/// Whether errnos are the numbers that the suite knows.
pub(crate) fn has_linux_errnos() -> bool {
    DIALECT.with_borrow(|dialect| dialect.profile.linux_errnos)
}

/// The system's name for one of the suite's. What the suite has named without saying what it is keeps its
/// name.
pub(crate) fn native(text: &str, layer: Option<Layer>) -> String {
    DIALECT.with_borrow_mut(|dialect| {
        let Names::Units { tun, tap } = dialect.profile.names else { return text.to_owned() };
        if let Some(meant) = dialect.meant.get(text) {
            return meant.clone();
        }
        let prefix = |layer| match layer {
            Layer::Tun => tun,
            Layer::Tap => tap,
        };
        // High numbers: of the lowest, some are there from the start, or are given to who asks for none.
        let unit = |kind: &str| text.strip_prefix(kind)?.parse::<u32>().ok();
        let meant = match (unit("tun"), unit("tap"), layer) {
            (Some(unit), _, _) => format!("{}{}", prefix(Layer::Tun), 10 + unit),
            (_, Some(unit), _) => format!("{}{}", prefix(Layer::Tap), 10 + unit),
            (_, _, Some(layer)) if !text.contains('%') => {
                format!("{}{}", prefix(layer), 30 + dialect.meant.len())
            }
            _ => return text.to_owned(),
        };
        dialect.meant.insert(text.to_owned(), meant.clone());
        meant
    })
}
