//! What programs, systems and archivers put beside documents for themselves, in folders and in archives alike.

/// Endings of files that are on their way to another name.
const TEMPORARY: [&str; 7] = ["swp", "swo", "swx", "tmp", "part", "partial", "crdownload"];
/// Names, in small letters, under which systems and archivers keep how a folder looks.
const OF_SYSTEMS: [&str; 5] = ["thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store", "__macosx"];

/// Whether a file or folder of this name was made by a program for itself.
pub fn is_clutter(name: &str, is_directory: bool) -> bool {
    if is_of_system(name) {
        return true;
    }
    if is_directory {
        return name == "node_modules";
    }
    let between_hashes = name.starts_with('#') && name.ends_with('#');
    let temporary = name.rsplit_once('.').is_some_and(|(_, ending)| TEMPORARY.contains(&ending));
    name.ends_with('~') || name.starts_with("~$") || between_hashes || temporary || name == "4913"
}

/// Whether a file or folder of this name is a system's own, and so nobody's document.
pub fn is_of_system(name: &str) -> bool {
    OF_SYSTEMS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a file with this path, which has `/` between its parts, stays out: it is hidden or clutter, or lies in such a
/// folder.
pub fn stays_out(path: &str) -> bool {
    let is_hidden = |name: &str| name.starts_with('.') && name != "." && name != "..";
    let mut parts = path.split('/').rev();
    let is_file_out = parts.next().is_some_and(|name| is_hidden(name) || is_clutter(name, false));
    is_file_out || parts.any(|name| is_hidden(name) || is_clutter(name, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_leave_for_themselves_is_clutter() {
        let made = ["notes.md~", "~$letter.docx", "#draft#", ".notes.md.swp", "film.mp4.part", "4913"];
        let of_systems = ["Thumbs.db", "ehthumbs.db", "Desktop.ini", ".DS_Store"];
        for name in made.into_iter().chain(of_systems) {
            assert!(is_clutter(name, false), "{name}");
        }
        for name in ["notes.md", "tmp", "swp", "#1.md", "~notes.md", "thumbs.db.md"] {
            assert!(!is_clutter(name, false), "{name}");
        }
        assert!(is_clutter("node_modules", true) && !is_clutter("node_modules", false) && is_clutter("__MACOSX", true));
    }

    #[test]
    fn a_path_stays_out_by_any_of_its_parts() {
        for path in [".git/config", "a/.hidden.md", "a/node_modules/m/x.md", "__MACOSX/a/._x.md", "a/b.md~"] {
            assert!(stays_out(path), "{path}");
        }
        for path in ["a/b.md", "./a/b.md", "../b.md", "a/../b.md", "a.b/c.md", "node_modules"] {
            assert!(!stays_out(path), "{path}");
        }
    }
}
