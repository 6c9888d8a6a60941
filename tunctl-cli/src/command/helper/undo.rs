//! What was done so far, so that a later failure undoes it.

use std::io;

use crate::command::Failure;

/// Changes in their order, each with the way back.
#[derive(Default)]
pub(super) struct Undo(Vec<Change>);

struct Change {
    /// What the way back does, as a sentence without its stop: `/etc/tunctl was removed`.
    back: String,
    /// Whether it is worth a word if it succeeds.
    is_told: bool,
    undo: Box<dyn FnOnce() -> io::Result<()>>,
}

impl Undo {
    pub(super) fn push(&mut self, back: impl Into<String>, undo: impl FnOnce() -> io::Result<()> + 'static) {
        self.0.push(Change { back: back.into(), is_told: true, undo: Box::new(undo) });
    }

    /// As [`push`](Self::push), of a file that nobody has seen: a word only if it stays.
    pub(super) fn push_temporary(
        &mut self,
        back: impl Into<String>,
        undo: impl FnOnce() -> io::Result<()> + 'static,
    ) {
        self.0.push(Change { back: back.into(), is_told: false, undo: Box::new(undo) });
    }

    /// Undoes everything, the last change first. The failure says what was undone, and what could not be.
    pub(super) fn after(self, problem: &str) -> Failure {
        let mut done = Vec::new();
        let mut left = Vec::new();
        for Change { back, is_told, undo } in self.0.into_iter().rev() {
            match undo() {
                Ok(()) if is_told => done.push(back),
                Ok(()) => {}
                Err(error) => left.push(format!("{back} ({error})")),
            }
        }
        let mut message = problem.trim_end_matches('.').to_owned();
        if !done.is_empty() {
            message.push_str(&format!(". Undone: {}", done.join("; ")));
        }
        message.push_str(&match left.as_slice() {
            [] if done.is_empty() => ". Nothing was changed.".to_owned(),
            [] => ". Nothing else was changed.".to_owned(),
            _ => format!(". This could not be undone: {}.", left.join("; ")),
        });
        Failure::Said(message)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    fn said(undo: Undo) -> String {
        match undo.after("copy: it failed.") {
            Failure::Said(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_change_is_undone_first_and_all_is_said() {
        assert_eq!(said(Undo::default()), "copy: it failed. Nothing was changed.");
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut undo = Undo::default();
        undo.push_temporary("t was removed", || Ok(()));
        for name in ["a", "b", "c"] {
            let order = Rc::clone(&order);
            undo.push(format!("{name} was removed"), move || {
                order.borrow_mut().push(name);
                if name == "b" { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            });
        }
        assert_eq!(
            said(undo),
            "copy: it failed. Undone: c was removed; a was removed. This could not be undone: b was removed \
             (no storage space)."
        );
        assert_eq!(*order.borrow(), ["c", "b", "a"]);
    }
}
