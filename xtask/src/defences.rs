//! `cargo xtask defences`: does each attack on the helper succeed once its defence is taken out?
//!
//! The attacks are tests (`tunctl-helper/tests/attacks`). An attack that fails shows a defence only if it
//! would succeed without. So the helper is changed, one defence at a time, as `mutants.txt` beside the tests
//! says, and the named test must fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{Outcome, helper, root, tool};

const LIST: &str = "tunctl-helper/tests/attacks/mutants.txt";

/// A change of the helper that takes a defence out, and the attack that succeeds then.
#[derive(Debug, Default, PartialEq)]
struct Mutant {
    file: String,
    text: String,
    with: String,
    test: String,
}

/// What became of a mutant.
enum Fate {
    Noticed,
    Missed,
}

pub(crate) fn run(options: &[&str]) -> Outcome {
    let only = match options {
        [] => None,
        ["--test", name] => Some(*name),
        _ => return Err("cargo xtask defences [--test NAME]".into()),
    };
    let text = fs::read_to_string(root().join(LIST)).map_err(|error| format!("read {LIST}: {error}"))?;
    let mutants = parse(&text)?;
    let chosen: Vec<_> =
        mutants.iter().filter(|mutant| only.is_none_or(|name| mutant.test.contains(name))).collect();
    if chosen.is_empty() {
        return Err(format!("{LIST} names no such test"));
    }
    let copy = copy_of_sources()?;
    // Without a change, each attack fails.
    for test in chosen.iter().map(|mutant| &mutant.test).collect::<std::collections::BTreeSet<_>>() {
        if let Fate::Noticed = attack(&copy, test)? {
            return Err(format!("{test} fails, though no defence was taken out"));
        }
    }
    let mut missed = 0;
    for mutant in &chosen {
        let place = copy.join(&mutant.file);
        let whole = fs::read_to_string(&place).map_err(|error| format!("read {}: {error}", mutant.file))?;
        if !whole.contains(&mutant.text) {
            return Err(format!("{} has no {}", mutant.file, mutant.text));
        }
        write(&place, &whole.replace(&mutant.text, &mutant.with))?;
        let fate = attack(&copy, &mutant.test);
        write(&place, &whole)?;
        let verdict = match fate? {
            Fate::Noticed => "noticed",
            Fate::Missed => {
                missed += 1;
                "MISSED"
            }
        };
        println!("{verdict}: {}: {} → {} ({})", mutant.file, mutant.text, mutant.with, mutant.test);
    }
    match missed {
        0 => Ok(()),
        missed => Err(format!("{missed} of {} mutants are not noticed", chosen.len())),
    }
}

/// Builds the helper of the copy, and runs one attack on it.
fn attack(copy: &Path, test: &str) -> Outcome<Fate> {
    let built = helper::command(copy)?.env("CARGO_PROFILE_HELPER_LTO", "off").output();
    check_built(built.map_err(|error| format!("run cargo: {error}"))?)?;
    let tests = ["test", "--quiet", "--package", "tunctl-helper", "--test", "attacks"];
    let cargo = || {
        let mut command = Command::new(env!("CARGO"));
        command.args(tests).current_dir(copy).env("CARGO_TARGET_DIR", copy.join("target"));
        command
    };
    let compiled = cargo().arg("--no-run").output();
    check_built(compiled.map_err(|error| format!("run cargo: {error}"))?)?;
    let run = cargo().args(["--", "--exact", test]).env("TUNCTL_REQUIRE_KERNEL", "1").output();
    let run = run.map_err(|error| format!("run cargo: {error}"))?;
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    if !said.contains("1 passed") && !said.contains("1 failed") {
        return Err(format!("there is no attack {test}:\n{said}"));
    }
    Ok(if run.status.success() { Fate::Missed } else { Fate::Noticed })
}

fn check_built(output: Output) -> Outcome {
    if output.status.success() {
        return Ok(());
    }
    Err(format!("a mutant is not built:\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// A copy of what git knows of, in the target folder, so that nothing here changes.
fn copy_of_sources() -> Outcome<PathBuf> {
    let copy = tool::folder("defences");
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let listed = listed.map_err(|error| format!("run git: {error}"))?;
    for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let (from, to) = (root().join(name), copy.join(name));
        let folder = to.parent().unwrap_or(&copy);
        fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
        let new = fs::read(&from).map_err(|error| format!("read {name}: {error}"))?;
        // What is the same keeps its time, so that it is not compiled again.
        if fs::read(&to).ok().as_ref() != Some(&new) {
            fs::write(&to, new).map_err(|error| format!("write {}: {error}", to.display()))?;
        }
    }
    Ok(copy)
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
}

/// The mutants of the list: four lines each, and comments between them.
fn parse(text: &str) -> Outcome<Vec<Mutant>> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || format!("{LIST}:{}: {line}", number + 1);
        let (field, value) = line.split_once(':').ok_or_else(wrong)?;
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        if field == "file" {
            mutants.push(Mutant::default());
        }
        let mutant = mutants.last_mut().ok_or_else(wrong)?;
        match field {
            "file" => mutant.file = value,
            "text" => mutant.text = value,
            "with" => mutant.with = value,
            "test" => mutant.test = value,
            _ => return Err(wrong()),
        }
    }
    match mutants.iter().find(|mutant| mutant.text.is_empty() || mutant.test.is_empty()) {
        Some(mutant) => Err(format!("{LIST}: a mutant of {} is not whole", mutant.file)),
        None => Ok(mutants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_has_four_lines() {
        let text = "# why\n\nfile: a.rs\ntext: x()?;\nwith:\ntest: name::lo\n";
        let mutant = Mutant {
            file: "a.rs".into(),
            text: "x()?;".into(),
            with: String::new(),
            test: "name::lo".into(),
        };
        assert_eq!(parse(text), Ok(vec![mutant]));
        for wrong in ["text: x\n", "file: a.rs\n", "file: a.rs\ntext: x\n", "file: a.rs\nwhat: x\n", "file\n"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
