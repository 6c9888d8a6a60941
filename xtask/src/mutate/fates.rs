//! What became of the mutants, and the verdict.

use std::path::Path;
use std::{fs, mem};

use super::mutant::{self, Mutant};
use super::reviewed::{self, Reviewed};
use crate::Outcome;

/// What became of the mutants.
#[derive(Default)]
pub(super) struct Fates {
    caught: Vec<Mutant>,
    endless: Vec<Mutant>,
    unviable: Vec<Mutant>,
    missed: Vec<Mutant>,
}

/// Which mutants were tried.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    /// All.
    Whole,
    /// All of some files.
    Files,
    /// Those of changed lines.
    Changes,
}

impl Fates {
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let read = |file: &str| {
            let path = folder.join(file);
            fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))
        };
        let texts = [read("caught.txt")?, read("timeout.txt")?, read("unviable.txt")?, read("missed.txt")?];
        let [caught, endless, unviable, missed] = mutant::parse(texts.each_ref().map(String::as_str))?;
        Ok(Self { caught, endless, unviable, missed })
    }

    /// Adds those of other files.
    pub(super) fn append(&mut self, other: Self) {
        self.caught.extend(other.caught);
        self.endless.extend(other.endless);
        self.unviable.extend(other.unviable);
        self.missed.extend(other.missed);
    }

    /// Those that survived and are not on the list.
    pub(super) fn doubtful(&self, reviewed: &[Reviewed]) -> Vec<&Mutant> {
        self.missed.iter().filter(|mutant| !is_on(reviewed, mutant)).collect()
    }

    /// Takes the word of a second run for those that the first did not catch.
    pub(super) fn correct(&mut self, second: &Self) {
        let is_among =
            |mutants: &[Mutant], mutant: &Mutant| mutants.iter().any(|other| other.given == mutant.given);
        for mutant in mem::take(&mut self.missed) {
            if is_among(&second.caught, &mutant) {
                self.caught.push(mutant);
            } else if is_among(&second.endless, &mutant) {
                self.endless.push(mutant);
            } else {
                self.missed.push(mutant);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Mutant> {
        [&self.caught, &self.endless, &self.unviable, &self.missed].into_iter().flatten()
    }
}

fn is_on(reviewed: &[Reviewed], mutant: &Mutant) -> bool {
    reviewed.iter().any(|entry| entry.mutant == mutant.name)
}

/// Tells what became of them, and holds the survivors to the list.
pub(super) fn conclude(fates: &Fates, reviewed: &[Reviewed], extent: Extent) -> Outcome {
    if fates.all().next().is_none() {
        return Err("no such file, or nothing to change in it: no mutant was tried".into());
    }
    let unexpected = fates.doubtful(reviewed);
    // A run of some files says nothing of the others, and one of some lines nothing of the rest of a file.
    let was_run = |file: &str| match extent {
        Extent::Whole => true,
        Extent::Files => fates.all().any(|mutant| mutant.file() == file),
        Extent::Changes => false,
    };
    let survives = |entry: &Reviewed| fates.missed.iter().any(|mutant| mutant.name == entry.mutant);
    let stale: Vec<_> = reviewed.iter().filter(|entry| was_run(entry.file()) && !survives(entry)).collect();

    println!("\n── summary");
    println!("{:>5} mutants", fates.all().count());
    println!("{:>5} caught by a test that fails", fates.caught.len());
    println!("{:>5} caught by a test that waits for ever", fates.endless.len());
    println!("{:>5} do not compile", fates.unviable.len());
    println!("{:>5} missed, reviewed", fates.missed.len() - unexpected.len());
    println!("{:>5} missed", unexpected.len());
    for mutant in &fates.endless {
        println!("endless: {mutant}");
    }
    for mutant in &unexpected {
        println!("missed:  {mutant}");
    }
    for entry in &stale {
        println!("stale:   {} (line {} of {})", entry.mutant, entry.line, reviewed::LIST);
    }
    match (unexpected.len(), stale.len()) {
        (0, 0) => Ok(()),
        (0, stale) => Err(format!(
            "{stale} on the list of survivors survive no more: remove them from {}",
            reviewed::LIST
        )),
        (missed, _) => {
            Err(format!("no test notices {missed} mutants: write one, or add them to {}", reviewed::LIST))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(missed: &str) -> Fates {
        let caught = "a/x.rs:1:1: replace y with z\n";
        let [caught, missed] = mutant::parse([caught, missed]).unwrap_or_default();
        Fates { caught, missed, ..Fates::default() }
    }

    #[test]
    fn survivors_and_the_list_must_agree() {
        let list = reviewed::parse("a/x.rs: replace + with -\n    It is the same.\n").unwrap_or_default();
        assert_eq!(list.len(), 1);
        assert!(conclude(&fates("a/x.rs:9:9: replace + with -\n"), &list, Extent::Whole).is_ok());
        assert!(conclude(&fates(""), &list, Extent::Files).is_err(), "stale");
        assert!(conclude(&fates(""), &list, Extent::Changes).is_ok(), "not tried");
        assert!(conclude(&fates("a/x.rs:9:9: replace + with -\n"), &[], Extent::Files).is_err(), "missed");
        let elsewhere = reviewed::parse("b.rs: replace + with -\n    It is the same.\n").unwrap_or_default();
        assert!(conclude(&fates(""), &elsewhere, Extent::Files).is_ok(), "its file was not run");
        assert!(conclude(&fates(""), &elsewhere, Extent::Whole).is_err(), "its file is gone");
    }

    #[test]
    fn a_second_run_may_catch_what_the_first_missed() {
        let mut first = fates("a/x.rs:9:9: replace + with -\na/x.rs:8:9: replace + with -\n");
        let [caught] = mutant::parse(["a/x.rs:9:9: replace + with -\n"]).unwrap_or_default();
        first.correct(&Fates { caught, ..Fates::default() });
        let left = first.doubtful(&[]).into_iter().map(|mutant| &mutant.given[..]).collect::<Vec<_>>();
        assert_eq!(left, ["a/x.rs:8:9: replace + with -"]);
        assert_eq!((first.caught.len(), first.all().count()), (2, 3));
    }

    #[test]
    fn to_have_tried_nothing_is_no_success() {
        assert!(conclude(&Fates::default(), &[], Extent::Files).is_err());
    }
}
