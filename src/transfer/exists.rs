//! What happens where something stands at a destination already, and the question to the user.

use crate::entry::Stat;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::task::{Choice, Control, Question};
use crate::text;
use std::sync::{Mutex, PoisonError};

/// What happens where something stands at the destination already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    /// It is an error.
    #[default]
    Fail,
    /// That file is left out.
    Skip,
    /// It is replaced.
    Overwrite,
    /// The new one gets a number: `x (1).tif`.
    Rename,
    /// The user is asked; where nobody can answer it is an error.
    Ask,
}

impl IfExists {
    /// All, as forms and the command line offer them.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Skip, Self::Overwrite, Self::Rename, Self::Ask];

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Overwrite => "overwrite",
            Self::Rename => "rename",
            Self::Ask => "ask",
        }
    }
}

impl std::str::FromStr for IfExists {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.as_str() == text)
            .ok_or_else(|| Error::usage(format!("`{text}` is not one of fail, skip, overwrite, rename, ask")))
    }
}

/// What is done with one thing whose place is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// What stands there stays.
    Skip,
    /// It is replaced.
    Overwrite,
    /// The new one takes another name.
    Rename,
}

/// Decides for one piece of work after the other what to do where something stands already: by the rule, or
/// by asking, where "for all" is remembered. Shared by the workers of a job.
pub struct Conflicts {
    rule: IfExists,
    remembered: Mutex<Option<Verdict>>,
    /// One is asked at a time: the answer to the first may be for all.
    asking: tokio::sync::Mutex<()>,
}

/// The answers, the safest first: key, name, verdict (`None`: stop), whether it is for all, words.
const ANSWERS: [(char, &str, Option<Verdict>, bool, &str); 7] = [
    ('s', "skip", Some(Verdict::Skip), false, "leave what stands there"),
    ('S', "skip-all", Some(Verdict::Skip), true, "leave it, and all others like it"),
    ('r', "rename", Some(Verdict::Rename), false, "write the new one under another name"),
    ('R', "rename-all", Some(Verdict::Rename), true, "rename it, and all others like it"),
    ('o', "overwrite", Some(Verdict::Overwrite), false, "replace what stands there"),
    ('O', "overwrite-all", Some(Verdict::Overwrite), true, "replace it, and all others like it"),
    ('x', "stop", None, false, "stop the whole job"),
];

impl Conflicts {
    /// Decides by `rule`.
    pub fn new(rule: IfExists) -> Self {
        Self { rule, remembered: Mutex::new(None), asking: tokio::sync::Mutex::new(()) }
    }

    /// The same, with the answer "for all" of a former attempt.
    #[must_use]
    pub fn remembering(self, verdict: Option<Verdict>) -> Self {
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
        self
    }

    /// What holds for everything, so far as it is known: a rule other than `ask`, or an answer "for all".
    pub fn settled(&self) -> Option<Verdict> {
        match self.rule {
            IfExists::Skip => Some(Verdict::Skip),
            IfExists::Overwrite => Some(Verdict::Overwrite),
            IfExists::Rename => Some(Verdict::Rename),
            IfExists::Fail => None,
            IfExists::Ask => *self.remembered.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// What to do with `to`, which is taken by `standing` (where that is known); the new one has `size` bytes.
    /// [`Kind::Exists`] where the rule is to fail or nobody can answer, [`Kind::Cancelled`] where the answer is
    /// to stop.
    pub async fn decide(
        &self,
        control: &Control,
        to: &Location,
        standing: Option<&Stat>,
        size: Option<u64>,
    ) -> Result<Verdict> {
        if let Some(verdict) = self.settled() {
            return Ok(verdict);
        }
        if self.rule == IfExists::Fail {
            return Err(taken(to));
        }
        let _asking = control.race(async { Ok::<_, Error>(self.asking.lock().await) }).await?;
        // The answer to the one before may have been for all.
        if let Some(verdict) = self.settled() {
            return Ok(verdict);
        }
        let Some(name) = control.ask(question(to, standing, size)).await? else {
            return Err(taken(to).with_hint(
                "nobody can be asked here: run it on a terminal, or say --if-exists skip, overwrite or rename",
            ));
        };
        let answer = ANSWERS.iter().find(|(_, known, ..)| *known == name);
        let Some(&(_, _, Some(verdict), for_all, _)) = answer else {
            // To stop is to cancel the whole, and is shown as that.
            control.cancel();
            return Err(Error::cancelled());
        };
        if for_all {
            *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        }
        Ok(verdict)
    }
}

/// The error for a destination that is taken.
pub fn taken(to: &Location) -> Error {
    Error::new(Kind::Exists, format!("{to} exists already"))
        .with_hint("choose another name, or --if-exists skip, overwrite, rename or ask")
}

fn question(to: &Location, standing: Option<&Stat>, size: Option<u64>) -> Question {
    let mut words = format!("{to} exists already");
    if let Some(stat) = standing {
        words.push_str(": ");
        words.push_str(&text::bytes(stat.size));
        if let Some(modified) = stat.modified {
            words.push_str(&modified.format(", %Y-%m-%d %H:%M").to_string());
        }
    }
    if let Some(size) = size {
        words.push_str("; the new one has ");
        words.push_str(&text::bytes(size));
    }
    let choices = ANSWERS.iter().map(|&(key, name, _, _, words)| Choice { key, name, words: words.to_owned() });
    Question { text: words, choices: choices.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_they_are_written() {
        for rule in IfExists::ALL {
            assert_eq!(rule.as_str().parse::<IfExists>().expect("parses"), rule);
            assert_eq!(serde_json::to_value(rule).expect("json"), rule.as_str());
        }
        assert!("replace".parse::<IfExists>().is_err());
    }

    #[tokio::test]
    async fn an_answer_for_all_is_given_once() {
        let (control, conflicts) = (Control::default(), Conflicts::new(IfExists::Ask));
        let to = Location::parse("s3://b/lake.tif").expect("location");
        let err = conflicts.decide(&control, &to, None, None).await.expect_err("nobody is there");
        assert_eq!(err.kind(), Kind::Exists);
        control.can_answer();
        let decide = || conflicts.decide(&control, &to, None, Some(14 << 20));
        let answer = async {
            for name in ["rename", "skip-all"] {
                let question = control.asked().await.expect("asked");
                assert_eq!(question.text, "s3://b/lake.tif exists already; the new one has 14.0 MiB");
                assert_eq!(question.choices[0].name, "skip", "the safest is first");
                control.answer(name);
                while control.question().is_some() {
                    tokio::task::yield_now().await;
                }
            }
        };
        let (one, two, three, ()) = tokio::join!(decide(), decide(), decide(), answer);
        let mut all = [one, two, three].map(|v| v.expect("decides"));
        all.sort_by_key(|v| *v == Verdict::Skip);
        assert_eq!(all, [Verdict::Rename, Verdict::Skip, Verdict::Skip]);
        assert_eq!(conflicts.settled(), Some(Verdict::Skip));
    }

    #[tokio::test]
    async fn stopping_is_an_answer_too() {
        let (control, conflicts) = (Control::default(), Conflicts::new(IfExists::Ask));
        control.can_answer();
        let to = Location::parse("s3://b/x").expect("location");
        let answer = async {
            control.asked().await;
            control.answer("stop");
        };
        let (decided, ()) = tokio::join!(conflicts.decide(&control, &to, None, None), answer);
        assert_eq!(decided.map_err(|e| e.kind()), Err(Kind::Cancelled));
    }
}
