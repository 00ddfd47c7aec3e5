//! Charts of office documents (DrawingML): what they are called, and the numbers that they were drawn from, as a table.
//!
//! A chart keeps the values of the sheet that it was drawn from, so nothing is computed and no sheet is opened.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use calamine::{Data, ExcelDateTime, ExcelDateTimeType};

use super::cells;
use super::composer::folded;
use super::fault::Fault;
use super::nesting::Block;
use super::number_format::NumberFormat;
use super::package::Package;
use super::relationships::Relationship;
use super::xml_events::{Element, Node, Nodes};

/// Series of one chart that are read, and values of them in all.
const MOST_SERIES: usize = 250;
const MOST_VALUES: usize = 100_000;
/// Cells that the charts of one part make at most.
const MOST_CELLS: usize = 500_000;
/// Bytes of a category of several levels from which no more are added.
const LONGEST_LABEL: usize = 4096;

/// The charts that a part refers to, by the ids of its references.
#[derive(Default)]
pub struct Charts(HashMap<String, Vec<Block>>);

impl Charts {
    /// Reads the charts among `parts`. One that is damaged says nothing.
    ///
    /// # Errors
    /// What unpacking meets, and [`super::Kind::TooComplex`] where there are too many values.
    pub fn of(package: &mut Package<'_>, parts: &[Relationship]) -> Result<Self, Fault> {
        let (mut charts, mut cells) = (HashMap::new(), 0);
        for part in parts.iter().filter(|part| part.kind == "chart") {
            let text = package.text(&part.target)?.unwrap_or_default();
            let blocks = read(&text).unwrap_or_default();
            let rows = blocks.iter().filter_map(|block| if let Block::Table(rows) = block { Some(rows) } else { None });
            cells += rows.flatten().map(Vec::len).sum::<usize>();
            if cells > MOST_CELLS {
                return Err(Fault::too_complex(format!("its charts have more than {MOST_CELLS} values")));
            }
            charts.insert(part.id.clone(), blocks);
        }
        Ok(Charts(charts))
    }

    /// What the chart says that `element` places, the first time that it is placed.
    pub fn take(&mut self, element: &Element<'_>) -> Vec<Block> {
        element.values("id").iter().find_map(|id| self.0.remove(id)).unwrap_or_default()
    }
}

fn read(text: &str) -> Result<Vec<Block>, Fault> {
    let mut chart = Chart::default();
    let mut nodes = Nodes::of(text);
    while let Some(node) = nodes.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "title" => chart.titles.extend(title(&mut nodes)?),
                "v" => chart.value(nodes.text()?),
                // What is written beside single points, and lines drawn through them.
                "dLbls" | "dLbl" | "trendline" | "errBars" => nodes.skip()?,
                _ => chart.start(&element),
            },
            Node::End(name) => chart.end(&name),
            Node::Text(text) if chart.in_format => chart.code.push_str(&text),
            Node::Text(_) => {}
        }
    }
    Ok(chart.blocks())
}

/// The text of a title that has just begun, without the place in a sheet that it may come from.
fn title(nodes: &mut Nodes<'_>) -> Result<Option<String>, Fault> {
    let (mut text, mut depth) = (String::new(), 1usize);
    while depth > 0 {
        match nodes.next()? {
            Some(Node::Start(element)) if element.name() == "f" => nodes.skip()?,
            Some(Node::Start(element)) => {
                depth += 1;
                if element.name() == "p" {
                    text.push(' ');
                }
            }
            Some(Node::End(_)) => depth -= 1,
            Some(Node::Text(part)) => text.push_str(&part),
            None => break,
        }
    }
    Ok(Some(folded(&text)).filter(|text| !text.is_empty()))
}

/// A chart as far as it has been read.
#[derive(Default)]
struct Chart {
    titles: Vec<String>,
    series: Vec<Series>,
    role: Option<Role>,
    point: usize,
    /// Whether the name of a format is being read, and what the format is.
    in_format: bool,
    code: String,
    values: usize,
}

#[derive(Default)]
struct Series {
    name: String,
    categories: BTreeMap<usize, String>,
    values: BTreeMap<usize, String>,
    sizes: BTreeMap<usize, String>,
}

/// What values of a series are.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Name,
    Category,
    Value,
    Size,
}

impl Chart {
    fn start(&mut self, element: &Element<'_>) {
        match element.name() {
            "ser" if self.series.len() < MOST_SERIES => self.series.push(Series::default()),
            "tx" => self.role = Some(Role::Name),
            "cat" | "xVal" => self.role = Some(Role::Category),
            "val" | "yVal" => self.role = Some(Role::Value),
            "bubbleSize" => self.role = Some(Role::Size),
            "pt" => self.point = element.number("idx").unwrap_or(0),
            "formatCode" => (self.in_format, self.code) = (true, String::new()),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "tx" | "cat" | "xVal" | "val" | "yVal" | "bubbleSize" => (self.role, self.code) = (None, String::new()),
            "formatCode" => self.in_format = false,
            _ => {}
        }
    }

    fn value(&mut self, text: String) {
        // A number alone has a format; a name that looks like one stays as it is.
        let is_name = matches!(self.role, Some(Role::Name | Role::Category)) && self.code.is_empty();
        let text = if is_name { text } else { shown(text, &self.code) };
        let (Some(role), Some(series)) = (self.role, self.series.last_mut()) else { return };
        if role == Role::Name {
            series.name = text;
            return;
        }
        self.values += 1;
        if self.values > MOST_VALUES {
            return;
        }
        let said = match role {
            Role::Category => &mut series.categories,
            Role::Size => &mut series.sizes,
            Role::Value | Role::Name => &mut series.values,
        };
        // Categories of several levels come from the innermost out.
        said.entry(self.point)
            .and_modify(|inner| {
                if inner.len() < LONGEST_LABEL {
                    *inner = format!("{text}, {inner}");
                }
            })
            .or_insert(text);
    }

    fn blocks(self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !self.titles.is_empty() {
            blocks.push(Block::Paragraph(self.titles.join("\n")));
        }
        // Series of a chart usually share their categories, but need not.
        let mut tables: Vec<Vec<Series>> = Vec::new();
        for series in self.series {
            let shares = |first: &Series| series.categories.is_empty() || first.categories == series.categories;
            match tables.last_mut() {
                Some(table) if table.first().is_some_and(shares) => table.push(series),
                _ => tables.push(vec![series]),
            }
        }
        blocks.extend(tables.iter().filter_map(|table| rows(table)).map(Block::Table));
        blocks
    }
}

/// A table of series that have their categories in common; none where they say nothing.
fn rows(table: &[Series]) -> Option<Vec<Vec<String>>> {
    let categories = &table.first()?.categories;
    let columns: Vec<(&str, &BTreeMap<usize, String>)> = table
        .iter()
        .flat_map(|series| [(series.name.as_str(), &series.values), ("", &series.sizes)])
        .filter(|(name, values)| !(name.is_empty() && values.is_empty()))
        .collect();
    let places: BTreeSet<usize> =
        columns.iter().map(|(_, said)| *said).chain([categories]).flat_map(|said| said.keys().copied()).collect();
    if places.is_empty() {
        return None;
    }
    let said = |values: &BTreeMap<usize, String>, place| values.get(&place).cloned().unwrap_or_default();
    let header = std::iter::once(String::new()).chain(columns.iter().map(|(name, _)| (*name).to_owned())).collect();
    let row = |place| {
        let values = columns.iter().map(|(_, values)| said(values, place));
        std::iter::once(said(categories, place)).chain(values).collect()
    };
    let room = MOST_CELLS / (columns.len() + 1);
    Some(std::iter::once(header).chain(places.into_iter().take(room).map(row)).collect())
}

/// A value as its format shows it.
fn shown(text: String, code: &str) -> String {
    match text.parse::<f64>() {
        Ok(days) if is_date(code) => {
            cells::shown(&Data::DateTime(ExcelDateTime::new(days, ExcelDateTimeType::DateTime, false)))
        }
        Ok(number) if number.is_finite() => NumberFormat::new(code).shown(number, cells::rounded),
        _ => text,
    }
}

/// Whether a format shows a number of days as a date.
fn is_date(code: &str) -> bool {
    let mut quoted = None;
    code.chars().any(|c| {
        match (c, quoted) {
            ('"', None) => quoted = Some('"'),
            ('[', None) => quoted = Some(']'),
            (c, Some(end)) if c == end => quoted = None,
            _ => {}
        }
        quoted.is_none() && matches!(c, 'y' | 'd' | 'h' | 'Y' | 'D' | 'H')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(role: &str, kind: &str, code: &str, points: &[&str]) -> String {
        let points: String = points
            .iter()
            .enumerate()
            .map(|(place, value)| format!("<c:pt idx='{place}'><c:v>{value}</c:v></c:pt>"))
            .collect();
        let code = if code.is_empty() { String::new() } else { format!("<c:formatCode>{code}</c:formatCode>") };
        format!(
            "<c:{role}><c:{kind}Ref><c:f>S!$A$1</c:f><c:{kind}Cache>{code}{points}</c:{kind}Cache></c:{kind}Ref></c:{role}>"
        )
    }

    fn titled(text: &str) -> String {
        format!("<c:title><c:tx><c:rich><a:p><a:r><a:t>{text}</a:t></a:r></a:p></c:rich></c:tx></c:title>")
    }

    fn table(blocks: &[Block]) -> Vec<String> {
        let row = |row: &Vec<String>| row.join("|");
        blocks
            .iter()
            .flat_map(|block| match block {
                Block::Table(rows) => rows.iter().map(row).collect(),
                Block::Paragraph(text) => vec![text.clone()],
                _ => Vec::new(),
            })
            .collect()
    }

    #[test]
    fn a_chart_is_its_titles_and_a_table_of_its_series() {
        let series = |name: &str, code: &str, values: &[&str]| {
            let labels = "<c:dLbls><c:dLbl><c:tx><c:rich><a:p><a:r><a:t>not this</a:t></a:r></a:p></c:rich></c:tx></c:dLbl></c:dLbls>";
            let category = cache("cat", "str", "", &["007", "Q2 &amp; Q3"]);
            format!(
                "<c:ser>{}{labels}{category}{}</c:ser>",
                cache("tx", "str", "", &[name]),
                cache("val", "num", code, values)
            )
        };
        let axis = format!("<c:valAx>{}</c:valAx>", titled("Mio. €"));
        let plot = [series("North", "0.00", &["4.3", "2.3999999999999999"]), series("South", "0%", &["0.25"])].concat();
        let chart = format!("<c:chart>{}<c:plotArea>{plot}{axis}</c:plotArea></c:chart>", titled("Sales"));
        let expected = ["Sales\nMio. €", "|North|South", "007|4.30|25%", "Q2 & Q3|2.40|"];
        assert_eq!(table(&read(&chart).unwrap()), expected);
    }

    #[test]
    fn dates_levels_and_series_with_categories_of_their_own_are_kept() {
        let level = |points: &str| format!("<c:lvl>{points}</c:lvl>");
        let inner = level("<c:pt idx='0'><c:v>May</c:v></c:pt>");
        let outer = level("<c:pt idx='0'><c:v>2024</c:v></c:pt>");
        let levels = format!(
            "<c:cat><c:multiLvlStrRef><c:multiLvlStrCache>{inner}{outer}</c:multiLvlStrCache></c:multiLvlStrRef></c:cat>"
        );
        let first = format!("<c:ser>{levels}{}</c:ser>", cache("val", "num", "General", &["7"]));
        let dated = cache("xVal", "num", "[$-407]d/m/yyyy", &["45000"]);
        let sized = cache("bubbleSize", "num", "", &["3"]);
        let second = format!("<c:ser>{dated}{}{sized}</c:ser>", cache("yVal", "num", "", &["8"]));
        let found = read(&format!("<c:chart>{first}{second}</c:chart>")).unwrap();
        assert_eq!(table(&found), ["|", "2024, May|7", "||", "2023-03-15|8|3"]);
        assert_eq!(read("<c:chart><c:ser/></c:chart>").unwrap(), Vec::new());
        assert!(read("<c:chart>").is_err());
    }
}
