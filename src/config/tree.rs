//! YAML as a tree that remembers where each of its nodes stood.
//!
//! Scalars stay text: what a `404` or a `yes` is, only the place that reads it can tell. Anchors,
//! aliases and merge keys are resolved here.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StrInput, Tag};

use super::problem::{Problem, Severity, Span};

/// Aliases can multiply a small file into a huge tree. Ten thousand rules are some half a million
/// nodes; ten times that is no rules file any more.
const NODES_MAX: usize = 5_000_000;

/// The types of YAML's own that a value may be said to be of where that is forgiven.
const TYPES: [&str; 6] = ["str", "int", "bool", "null", "map", "seq"];

/// A node's name within its tree. An alias's copy bears the name of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

#[derive(Clone, Debug)]
pub struct Node {
    pub id: NodeId,
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: String,
    /// Written without quotes, so that it may be more than text.
    pub plain: bool,
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub key: Key,
    pub value: Node,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub text: String,
    pub span: Span,
    /// Written without quotes, as a scalar's.
    pub plain: bool,
}

/// How much a file is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rigour {
    /// What is likely to be a slip is an error.
    Strict,
    /// What other readers of YAML let pass is a warning: of a key that stands in a map twice the
    /// last counts, a second document is not read, and the tags of YAML's own types are known.
    Lenient,
}

impl Node {
    /// What stands under this key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(pairs) = &self.value else { return None };
        pairs.iter().find(|pair| pair.key.text == key).map(|pair| &pair.value)
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        let Value::Scalar(scalar) = &self.value else { return None };
        Some(&scalar.text)
    }
}

impl Scalar {
    /// YAML's ways to write nothing.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Reads one document. Returns what could be read and every problem met on the way; a syntax
/// error leaves nothing to read.
pub fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    parse_with(text, Rigour::Strict)
}

/// The same, with more or less forgiven.
pub fn parse_with(text: &str, rigour: Rigour) -> (Option<Node>, Vec<Problem>) {
    let options = granit_parser::options! { emit_comments: false };
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        rigour,
        problems: Vec::new(),
    };
    let root = match builder.document() {
        Ok(root) => root,
        Err(problem) => {
            builder.problems.push(*problem);
            None
        }
    };
    (root, builder.problems)
}

type Step<T> = Result<T, Box<Problem>>;

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// Anchored nodes, with how many nodes each of them is.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    rigour: Rigour,
    problems: Vec<Problem>,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(..) if root.is_some() => {
                    let remedy = "put each domain into a file of its own";
                    let what = "a second document in one file would not be read";
                    self.slip(span, what, remedy);
                    return Ok(root);
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Step<(Event<'t>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or_default();
                Ok((event, Span { start: range.start, end: range.end }))
            }
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or_default();
                let span = Span { start, end: start + 1 };
                Err(Box::new(match error.kind() {
                    ErrorKind::UnknownAnchor => {
                        let remedy = "write `&name` ahead of the value that `*name` stands for";
                        Problem::error(span, "this alias names nothing above it", remedy)
                    }
                    kind => {
                        let what = format!("this is not YAML: {kind}");
                        let remedy = syntax_remedy(&what);
                        Problem::error(span, what, remedy)
                    }
                }))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Step<Node> {
        let before = self.nodes;
        let id = NodeId(before);
        self.count(1, span)?;
        let (value, end, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_text(tag.as_deref());
                self.refuse_tag(tag.as_deref(), span);
                (Value::Scalar(Scalar { text: text.into_owned(), plain }), span.end, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let (items, end) = self.list()?;
                (Value::List(items), end, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let (pairs, end) = self.map()?;
                (Value::Map(pairs), end, anchor)
            }
            other => {
                let what = format!("unexpected {other:?}");
                return Err(Box::new(Problem::error(span, what, "check the syntax here")));
            }
        };
        let node = Node { id, span: Span { start: span.start, end }, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    /// A tag would change what a value is; here only its place does.
    fn refuse_tag(&mut self, tag: Option<&Tag>, span: Span) {
        let known = |tag: &Tag| tag.is_yaml_core_schema() && TYPES.contains(&tag.suffix());
        let forgiven = self.rigour == Rigour::Lenient && tag.is_some_and(known);
        if tag.is_some() && !forgiven {
            let what = "tags such as `!!int` have no meaning here";
            self.problems.push(Problem::error(
                span,
                what,
                "write the value in quotes, or without the `!`; `{ not: … }` means all others",
            ));
        }
    }

    /// Whether a tag makes text of whatever stands there.
    fn is_text(&self, tag: Option<&Tag>) -> bool {
        let says = |tag: &Tag| tag.is_yaml_core_schema() && tag.suffix() == "str";
        self.rigour == Rigour::Lenient && tag.is_some_and(says)
    }

    /// Something that is no error to whoever forgives it.
    fn slip(&mut self, span: Span, what: impl Into<String>, remedy: &str) {
        let problem = Problem::error(span, what, remedy);
        self.problems.push(match self.rigour {
            Rigour::Strict => problem,
            Rigour::Lenient => Problem { severity: Severity::Warning, ..problem },
        });
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step<Node> {
        match self.anchors.get(&anchor).cloned() {
            Some((node, nodes)) => {
                self.count(nodes, span)?;
                Ok(node)
            }
            // An anchor still open here contains its own alias.
            None => {
                let what = "this alias stands for something that contains it";
                Err(Box::new(Problem::error(span, what, "write the value out")))
            }
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Step<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let what = format!("the file grows beyond {NODES_MAX} values");
        Err(Box::new(Problem::error(span, what, "use fewer aliases, or split the file")))
    }

    fn list(&mut self) -> Step<(Vec<Node>, usize)> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, closing) => {
                    let end = end_of(items.last(), closing);
                    return Ok((items, end));
                }
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Step<(Vec<Pair>, usize)> {
        let mut pairs: Vec<Pair> = Vec::new();
        let (mut merged, mut known) = (Vec::new(), HashSet::new());
        loop {
            let (event, span) = self.next()?;
            if let Event::MappingEnd = event {
                let end = end_of(pairs.last().map(|pair| &pair.value), span);
                self.merge(&mut pairs, &mut known, merged);
                return Ok((pairs, end));
            }
            let key = self.node(event, span)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span)?;
            match key.value {
                Value::Scalar(key) if key.plain && key.text == "<<" => merged.push(value),
                Value::Scalar(scalar) => {
                    let Scalar { text, plain } = scalar;
                    if !known.insert(text.clone()) {
                        let what = format!("`{text}` stands here twice");
                        self.slip(span, what, "keep one of the two");
                        if self.rigour == Rigour::Strict {
                            continue;
                        }
                        pairs.retain(|pair| pair.key.text != text);
                    }
                    pairs.push(Pair { key: Key { text, span, plain }, value });
                }
                Value::List(_) | Value::Map(_) => {
                    let what = "a key must be text, not a list or a map";
                    self.problems.push(Problem::error(key.span, what, "write `key: value`"));
                }
            }
        }
    }

    /// Adds what merge keys bring, where the map does not say it itself.
    fn merge(&mut self, pairs: &mut Vec<Pair>, known: &mut HashSet<String>, merged: Vec<Node>) {
        for node in merged {
            match node.value {
                Value::List(nodes) => self.merge(pairs, known, nodes),
                Value::Map(brought) => {
                    pairs.extend(brought.into_iter().filter(|p| known.insert(p.key.text.clone())));
                }
                Value::Scalar(_) => {
                    let what = "`<<` brings in the keys of a map, and this is none";
                    let remedy = "write an alias of a map, such as `<<: *defaults`";
                    self.problems.push(Problem::error(node.span, what, remedy));
                }
            }
        }
    }
}

/// What to do about bad syntax, by what the parser says of it.
fn syntax_remedy(what: &str) -> &'static str {
    if what.contains("escape") {
        "write it in single quotes, where YAML leaves backslashes as they are"
    } else if what.contains("tab") {
        "indent with spaces"
    } else {
        "check indentation, commas and quotes here"
    }
}

/// Where a collection ends: a block has no closing bracket, so its last item says it.
fn end_of(last: Option<&Node>, closing: Span) -> usize {
    match last {
        Some(node) if closing.start == closing.end => node.span.end,
        _ => closing.end,
    }
}
