//! Where one object may be written: what is done about what stands there already.

use super::exists::{Conflicts, IfExists, Verdict};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::Stores;
use crate::task::Control;

/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;

/// Where to write, and whether what stands there is replaced; `None` where it is to be left as it is. The user is
/// asked where the rule says so.
pub async fn room(
    stores: &Stores,
    destination: &Location,
    rule: IfExists,
    control: &Control,
) -> Result<Option<(Location, bool)>> {
    let rule = if rule == IfExists::Ask { asked(stores, destination, control).await? } else { rule };
    let here = || Some((destination.clone(), rule == IfExists::Overwrite));
    match rule {
        IfExists::Fail | IfExists::Overwrite | IfExists::Ask => Ok(here()),
        IfExists::Skip => Ok(if is_taken(stores, destination, control).await? { None } else { here() }),
        IfExists::Rename => {
            for n in 0..NUMBERS {
                let location = numbered(destination, n);
                if !is_taken(stores, &location, control).await? {
                    return Ok(Some((location, false)));
                }
            }
            Err(Error::new(Kind::Exists, format!("{destination} exists, and so do all its numbers")))
        }
    }
}

/// What the user decides; where nothing stands there, the rule has nothing to say.
async fn asked(stores: &Stores, destination: &Location, control: &Control) -> Result<IfExists> {
    let Ok(stat) = control.race(stores.stat(destination, &control.meter)).await else {
        control.check()?;
        return Ok(IfExists::Fail);
    };
    let verdict = Conflicts::new(IfExists::Ask).decide(control, destination, Some(&stat), None).await?;
    Ok(match verdict {
        Verdict::Skip => IfExists::Skip,
        Verdict::Overwrite => IfExists::Overwrite,
        Verdict::Rename => IfExists::Rename,
    })
}

async fn is_taken(stores: &Stores, location: &Location, control: &Control) -> Result<bool> {
    let found = control.race(stores.stat(location, &control.meter)).await;
    // Whatever else is wrong, writing will tell it better.
    control.check()?;
    Ok(found.is_ok())
}

/// `x (2).parquet` for `x.parquet`; the name itself for 0.
fn numbered(location: &Location, n: u32) -> Location {
    if n == 0 {
        return location.clone();
    }
    let folder = location.key().len() - location.name().len();
    let name = location.name();
    let (stem, suffix) = match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    };
    location.with_key(format!("{}{stem} ({n}){suffix}", &location.key()[..folder]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_before_the_suffix() {
        let numbered = |text: &str| numbered(&Location::parse(text).expect(text), 2).to_string();
        assert_eq!(numbered("s3://b/a.b/x.parquet"), "s3://b/a.b/x (2).parquet");
        assert_eq!(numbered("/d/x"), "/d/x (2)");
    }
}
