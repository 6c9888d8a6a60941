//! The program's function that is called when events come.

use std::fmt;
use std::sync::Arc;

/// The function, shared with a call that is under way.
#[derive(Clone)]
pub(super) struct Callback(Arc<dyn Fn() + Send + Sync>);

impl Callback {
    pub(super) fn new(function: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// A call that is due. It is made under a lock, and sent when every lock is free.
#[derive(Debug, Default)]
#[must_use = "the consumer would sleep on"]
pub(super) struct Notification(Option<Callback>);

impl Notification {
    pub(super) const fn to(callback: Option<Callback>) -> Self {
        Self(callback)
    }

    pub(super) fn send(self) {
        if let Some(Callback(function)) = self.0 {
            function();
        }
    }
}
