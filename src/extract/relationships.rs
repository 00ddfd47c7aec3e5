//! How the parts of an Office Open XML package refer to each other.

use super::fault::{Fault, Kind};
use super::package::{Package, resolve};
use super::xml_events::{Node, Nodes};

/// References from one part that are kept.
const MOST: usize = 100_000;

/// A reference from one part to another.
pub struct Relationship {
    pub id: String,
    /// The last word of its type: `slide`, `footnotes`, `header`.
    pub kind: String,
    /// The part that it leads to.
    pub target: String,
}

/// The references from `part`, from the package itself for an empty name. What lies outside the package is left out.
///
/// # Errors
/// What unpacking and reading meets, and [`Kind::TooComplex`] where there are too many.
pub fn of(package: &mut Package<'_>, part: &str) -> Result<Vec<Relationship>, Fault> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let place = format!("{folder}/_rels/{name}.rels");
    let Some(text) = package.text(&place)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut nodes = Nodes::of(&text);
    while let Some(node) = nodes.next()? {
        let Node::Start(element) = node else { continue };
        let (Some(id), Some(kind), Some(target)) =
            (element.attribute("Id"), element.attribute("Type"), element.attribute("Target"))
        else {
            continue;
        };
        if element.attribute("TargetMode").as_deref() == Some("External") {
            continue;
        }
        if found.len() >= MOST {
            return Err(Fault::too_complex("its parts refer to too many others"));
        }
        let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
        found.push(Relationship { id, kind, target: resolve(part, &target) });
    }
    Ok(found)
}

/// The name of the part that holds the document itself.
///
/// # Errors
/// [`Kind::Damaged`] where there is none.
pub fn main_part(package: &mut Package<'_>, usual: &str) -> Result<String, Fault> {
    let stated = of(package, "")?.into_iter().find(|found| found.kind == "officeDocument").map(|found| found.target);
    match stated.filter(|name| package.has(name)).or_else(|| package.has(usual).then(|| usual.to_owned())) {
        Some(name) => Ok(name),
        None => Err(Fault::new(Kind::Damaged, format!("the file is damaged: {usual} is missing in it"))),
    }
}
