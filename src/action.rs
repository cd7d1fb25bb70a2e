//! The one table of what a person can do: name (for the key file and the palette) and description
//! (for help). Keys, palette and help derive from it, so they cannot drift apart.

macro_rules! actions {
    ($($variant:ident, $name:literal, $about:literal;)*) => {
        /// Something a person can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $(#[doc = $about] $variant,)*
        }

        impl Action {
            /// All of them, in the order of this table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in `assets/keymap.toml` and in the palette.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in a few words.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }

            /// The action of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

actions! {
    Quit, "quit", "Leave secchi, asking first when jobs run";
    Close, "close", "Close this view; the last one quits, asking first when jobs run";
    Back, "back", "Peel one layer: filter, selection, popup";
    Help, "help", "Keys of this view";
    Palette, "palette", "Find a command by name";
    Command, "command-line", "Command lines that do what was done last";
    Themes, "themes", "Choose the colours";
    Rebind, "change-keys", "Change the keys of this view";
    Log, "log", "Log of requests: what was asked, and what servers answered";
    Refresh, "refresh", "Read it again";
    Jobs, "jobs", "Jobs: queue, progress, charts, log";
    Places, "places", "Places: profiles, endpoints, bookmarks, recents";
    GoTo, "go-to", "Type an address to open";
    NextPane, "next-pane", "Next pane or field";
    PrevPane, "prev-pane", "Previous pane or field";
    TabNew, "tab-new", "New tab at this place";
    TabOpen, "tab-open", "Open what is under the cursor in a new tab";
    Tab1, "tab-1", "First tab";
    Tab2, "tab-2", "Second tab";
    Tab3, "tab-3", "Third tab";
    Tab4, "tab-4", "Fourth tab";
    Tab5, "tab-5", "Fifth tab";
    Tab6, "tab-6", "Sixth tab";
    Tab7, "tab-7", "Seventh tab";
    Tab8, "tab-8", "Eighth tab";
    Tab9, "tab-9", "Ninth tab";
    TabNext, "tab-next", "Next tab";
    TabPrev, "tab-prev", "Previous tab";

    Mouse, "mouse", "Use the mouse, or leave it to the terminal";

    Up, "up", "Up one line";
    Down, "down", "Down one line";
    Left, "left", "Left, or out";
    Right, "right", "Right, or in";
    PageUp, "page-up", "Up a page";
    PageDown, "page-down", "Down a page";
    HalfUp, "half-page-up", "Up half a page";
    HalfDown, "half-page-down", "Down half a page";
    Top, "top", "To the first line";
    Bottom, "bottom", "To the last line; a number before it: to that line";
    Percent, "percent", "A number before it: so far down the list, in percent";
    Enter, "enter", "Open what is under the cursor";
    Leave, "leave", "Go to the container above, or back";
    HistoryBack, "history-back", "To the place before";
    HistoryForward, "history-forward", "To the place after";

    Select, "select", "Select or unselect, and advance";
    SelectRange, "select-range", "Select from here to where the cursor goes";
    SelectAll, "select-all", "Select all that is listed";
    SelectInvert, "select-invert", "Select what is not selected, of all that is listed";
    SelectGlob, "select-glob", "Select by pattern: *.tif, B0[2-4]*, **/*.tif";
    UnselectGlob, "unselect-glob", "Unselect by pattern";
    SelectNone, "select-none", "Unselect all, in all folders";
    Basket, "basket", "What is selected, in all folders";
    Filter, "filter", "Show only names that match";
    Find, "find", "Search in names, going to the match";
    JumpTo, "jump-to", "Go to the first name that begins with what is typed";
    SearchNext, "search-next", "Next match";
    SearchPrev, "search-prev", "Previous match";
    SortNext, "sort", "Sort by name, size or time";
    SortReverse, "sort-reverse", "Turn the order round";
    Measure, "measure", "Count objects and bytes below the prefix, or those selected";
    MeasureAll, "measure-all", "Count objects and bytes below every prefix listed";
    MeasureStop, "measure-stop", "Stop counting";
    Bookmark, "bookmark", "Remember this place, or forget it";
    Yank, "copy", "Copy the address, a URL, a path or a snippet";
    ErrorsOnly, "errors-only", "Show only what failed, or all again";
    AddKey, "add-key", "One more key for the action";
    ResetKey, "reset-key", "The keys of the action as shipped";
    Facts, "facts", "Facts of the object or bucket: metadata, tags, versions, rules";
    Versions, "versions", "Versions of all objects here, deleted ones too";
    EditFacts, "edit", "Edit metadata, tags, content type";
    Restore, "restore", "Make the old version the current one, by a copy";
    Undelete, "undelete", "Bring the deleted object back";
    ReadOnly, "read-only", "Allow or forbid writing to this place";

    AddPlace, "add-place", "Add a place: choose a template, fill in a form";
    EditPlace, "edit-place", "Edit the place: endpoint, keys, lock, note";
    RemovePlace, "remove-place", "Forget the place, bookmark or recent one";
    CheckPlace, "check-place", "Check the place: who am I, which buckets, round-trip time";

    Upload, "upload", "Upload files with metadata";
    Download, "download", "Download what is selected, or under the cursor";
    CopyTo, "copy-to", "Copy what is selected, or under the cursor, to another place";
    MoveTo, "move-to", "Move what is selected, or under the cursor, to another place";
    Delete, "delete", "Delete what is selected or under the cursor, after a question";
    Sync, "sync", "Make one place like another: copy what is new or changed";
    Uploads, "uploads", "Unfinished uploads of the bucket, which are paid for and not listed";
    AbortUpload, "abort-upload", "Abort the uploads selected, or the one under the cursor";
    AbortOld, "abort-old", "Abort all uploads that are older than some days";
    Convert, "convert", "Convert to another format";
    Query, "query", "Ask with SQL: the table under the cursor, or any other";
    Complete, "complete", "Complete the word: a column, a function, a keyword";
    Explain, "explain", "What the query would read, and how it is done";
    Benchmark, "benchmark", "Benchmark formats and storages";

    ViewNext, "view-next", "Next view of the same thing: rows, tables about it, facts, files";
    ZoomIn, "zoom-in", "Closer";
    ZoomOut, "zoom-out", "Farther";
    ZoomAll, "zoom-all", "All of it";
    OpenTable, "open-table", "Open a folder of Parquet files as one table";
    Map, "map", "On a map: the table's geometry, where a raster lies";
    PanLeft, "pan-left", "Move the window to the left, or the cursor far";
    PanRight, "pan-right", "Move the window to the right, or the cursor far";
    PanUp, "pan-up", "Move the window up, or the cursor far";
    PanDown, "pan-down", "Move the window down, or the cursor far";
    MoreRows, "more-rows", "A larger sample of the rows";
    FewerRows, "fewer-rows", "A smaller sample of the rows";
    AllRows, "all-rows", "All rows, not a sample";
    ColourNext, "colour-next", "The next colours: colour map, column";
    ColourPrev, "colour-prev", "The colours before";
    Projection, "projection", "Seen flat, or from above a pole";
    Drawing, "drawing", "Drawn in dots, or as a picture where the terminal shows one";
    ChooseBox, "choose-box", "Begin a box at the cursor; once more copies its bounds";
    Freeze, "freeze", "Hold the picture still, or let it run";

    TrueSize, "true-size", "One pixel of the raster for each of the screen";
    Cursor, "cursor", "Show the cursor with value and coordinates, or put it away";
    Invert, "invert", "Turn the colour map round";
    StretchNext, "stretch-next", "Next stretch: 2-98 %, smallest to largest, two sigma, as stored";
    StretchPrev, "stretch-prev", "The stretch before";
    StretchType, "stretch-type", "Type the values of the first and the last colour";
    StretchScope, "stretch-scope", "Stretch by all of it, or by what is in sight";
    Bands, "bands", "Choose the bands: one, or three for red, green and blue";
    BandNext, "band-next", "The next band alone";
    BandPrev, "band-prev", "The band before alone";
    BandRed, "band-red", "Show the band as red";
    BandGreen, "band-green", "Show the band as green";
    BandBlue, "band-blue", "Show the band as blue";
    BandAlone, "band-alone", "Show a band alone, not three";
    Parts, "parts", "Choose among the rasters of the same file: variables, resolutions";
    Statistics, "statistics", "Exact statistics of the bands shown: reads every pixel";
    Compare, "compare", "Compare with another raster, beside this one";
    Flicker, "flicker", "Compare with another raster in the same place; once more shows the other";
    Side, "side", "Show or hide what stands beside the picture";
    StepBack, "step-back", "One step back on the axis";
    StepForward, "step-forward", "One step forward on the axis";
    LeapBack, "leap-back", "A tenth of the axis back";
    LeapForward, "leap-forward", "A tenth of the axis forward";
    Plot, "plot", "Plot values along a dimension";
    ChunkMap, "chunk-map", "Which chunks exist, and how much of the array is stored";
    PlaneNext, "plane-next", "The next dimensions for the picture, or the next for the plot";
    PlaneTurn, "plane-turn", "Turn the picture: rows become columns";
    Play, "play", "Play along the axis, or flicker between two rasters; once more stops";

    GoToRow, "go-to-row", "Go to a row by its number";
    FilterRows, "filter-rows", "Show only rows for which a condition in SQL holds";
    SortRows, "sort-rows", "Sort by the column: ascending, descending, not at all";
    SortMore, "sort-more", "Sort also by the column, behind those sorted by already";
    FindColumn, "find-column", "Go to a column by its name; hidden ones are shown again";
    FirstColumn, "first-column", "To the first column";
    LastColumn, "last-column", "To the last column";
    FreezeColumns, "freeze-columns", "Freeze the columns up to the cursor, or let them scroll again";
    HideColumn, "hide-column", "Hide the column";
    ShowColumns, "show-columns", "Show all columns that were hidden";
    ColumnLeft, "column-left", "Move the column to the left";
    ColumnRight, "column-right", "Move the column to the right";
    Wider, "wider", "Widen the column";
    Narrower, "narrower", "Narrow the column";
    FitWidth, "fit-width", "As wide as the longest cell, or as before";
    Record, "record", "One row as a list of names and values";
    Profile, "profile", "Profile of the column: range, quantiles, histogram, frequent values";

    Submit, "submit", "Do it";
    AddRow, "add-row", "Add a row";
    RemoveRow, "remove-row", "Remove the row";
    RemoveFolder, "remove-folder", "Remove all rows of this folder";
    NextChoice, "next-choice", "Next choice of the field";
    PrevChoice, "prev-choice", "Previous choice of the field";

    Cancel, "cancel", "Cancel the job, or stop counting";
    Retry, "retry", "Run the job again, or resume it";
    ResumeAll, "resume-all", "Resume all jobs that were interrupted";
    GiveUp, "give-up", "Forget that the interrupted job could be resumed";
    Pause, "pause", "Have the job wait, or let it go on";
    Sooner, "sooner", "Have the job that waits begin sooner";
    Later, "later", "Have the job that waits begin later";
    Answer, "answer", "Answer what a job asks";
    Export, "export", "Save the result to a file";
    Yes, "yes", "Yes";
    No, "no", "No";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_action() {
        for &action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(action), "two actions share a name");
            assert!(!action.about().is_empty());
        }
    }
}
