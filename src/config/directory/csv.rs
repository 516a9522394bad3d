//! Rows from CSV: a header, and a line for each key or scheduled change of one.

use csv::{ReaderBuilder, StringRecord};

use crate::config::problem::Span;
use crate::directory::{Draft, DraftLimit, DraftStage, Said};

use super::{Place, Sheet};

/// A column by what it says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Key,
    From,
    Until,
    AnchorDay,
    TimeZone,
    AlertTo,
    Limit(String),
    Burst(String),
    Entry(String),
}

impl Column {
    fn named(name: &str, by: &str) -> Column {
        match name {
            "key" => Column::Key,
            name if name == by => Column::Key,
            "from" => Column::From,
            "until" => Column::Until,
            "anchor_day" => Column::AnchorDay,
            "time_zone" => Column::TimeZone,
            "alert_to" => Column::AlertTo,
            name => match name.split_once(':') {
                Some(("limit", label)) => Column::Limit(label.trim().into()),
                Some(("burst", label)) => Column::Burst(label.trim().into()),
                _ => Column::Entry(name.into()),
            },
        }
    }
}

/// Reads all lines. A word's place is its record's first byte and its column.
pub fn read(by: &str, sheet: &mut Sheet<'_>) {
    let text = sheet.text;
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut columns: Option<Columns> = None;
    // Text cannot fail to be read as records, only to make sense as such.
    while sheet.goes_on() && reader.read_record(&mut record).unwrap_or(false) {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        match &columns {
            None => match head(&record, start, by, sheet) {
                Some(found) => columns = Some(found),
                None => return,
            },
            Some(columns) => line(columns, &record, start, sheet),
        }
    }
    if columns.is_none() {
        let remedy = format!("begin with a header such as `{by},plan`");
        sheet.error(Span::default(), "the directory is empty", remedy);
    }
}

/// The header's columns, and which of them holds the key.
struct Columns {
    all: Vec<Column>,
    key: usize,
    start: usize,
}

fn head(record: &StringRecord, start: usize, by: &str, sheet: &mut Sheet<'_>) -> Option<Columns> {
    let text = sheet.text;
    let all: Vec<_> = record.iter().map(|name| Column::named(name.trim(), by)).collect();
    let Some(key) = all.iter().position(|column| *column == Column::Key) else {
        // What stands here may be no header at all, but somebody's key.
        let span = field(text, (start, 0));
        sheet.masked.hidden.push(span.start);
        let remedy = format!("begin with a header such as `{by},plan`");
        sheet.error(span, format!("the header has no column `key` or `{by}`"), remedy);
        return None;
    };
    for (position, column) in all.iter().enumerate() {
        if all[..position].contains(column) {
            let remedy = "keep one of the two columns";
            sheet.error(field(text, (start, position)), "this column is there already", remedy);
        }
    }
    Some(Columns { all, key, start })
}

fn line(columns: &Columns, record: &StringRecord, start: usize, sheet: &mut Sheet<'_>) {
    let text = sheet.text;
    let (is, should) = (record.len(), columns.all.len());
    let runs_on = record.iter().any(|cell| cell.contains(['\n', '\r']));
    if is != should || runs_on {
        let span = field(text, (start, 0));
        sheet.masked.hidden.push(span.start);
        if runs_on {
            let what = "a cell that begins here runs over the end of its line";
            sheet.error(span, what, "close its quotes; a quote within a cell is written twice");
        } else {
            let what = format!("this line has {is} cells, and the header has {should}");
            sheet.error(span, what, "give every line as many cells; an empty one says nothing");
        }
        return;
    }
    let mut stage = DraftStage::default();
    for (position, (column, cell)) in columns.all.iter().zip(record).enumerate() {
        let said = Said { text: cell.trim(), place: (start, position) };
        if !said.text.is_empty() {
            let name = |text| Said { text, place: (columns.start, position) };
            put(&mut stage, column, said, name);
        }
    }
    let key = record.get(columns.key).unwrap_or_default().trim();
    let key = Said { text: key, place: (start, columns.key) };
    let draft = Draft { stages: vec![stage], place: key.place };
    sheet.add(key, &draft, |place| field(text, place));
}

fn put<'t>(
    stage: &mut DraftStage<'t>,
    column: &'t Column,
    said: Said<'t>,
    name: impl Fn(&'t str) -> Said<'t>,
) {
    match column {
        Column::Key => {}
        Column::From => stage.from = Some(said),
        Column::Until => stage.until = Some(said),
        Column::AnchorDay => stage.anchor_day = Some(said),
        Column::TimeZone => stage.time_zone = Some(said),
        Column::AlertTo => stage.alert_to = Some(said),
        Column::Limit(label) => {
            let limit = name(label);
            stage.limits.push(DraftLimit { limit, requests: Some(said), burst: None });
        }
        Column::Burst(label) => {
            let limit = name(label);
            stage.limits.push(DraftLimit { limit, requests: None, burst: Some(said) });
        }
        Column::Entry(entry) => stage.entries.push((name(entry), said)),
    }
}

/// Where a cell stands: the nth of the record that begins at a byte. Asked only for what is
/// shown, so looking for it anew costs nothing.
fn field(text: &str, (start, position): Place) -> Span {
    let blank = text[start..].bytes().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let (mut at, mut quoted) = (start + blank, false);
    let (mut from, mut comma) = (at, 0);
    for &byte in &text.as_bytes()[at..] {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            b',' if !quoted && comma == position => break,
            b',' if !quoted => {
                comma += 1;
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    Span { start: from, end: at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_behind_quotes_and_blank_lines() {
        let text = "\r\na,\"b, \"\"c\"\"\",d\nnext";
        let cell = |position| {
            let Span { start, end } = field(text, (0, position));
            &text[start..end]
        };
        assert_eq!([cell(0), cell(1), cell(2)], ["a", "\"b, \"\"c\"\"\"", "d"]);
    }
}
