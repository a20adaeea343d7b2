# Makes the book, and fails on a misspelt word. mdbook tells of a missing page with a
# warning only, and takes the title of a draft from the contents page.
codespell --quiet-level 3 /in/docs/src /in/text-*
mdbook build --dest-dir /out /in/docs 2>&1 | tee log
if grep -E '\[(WARN|ERROR)\]' log; then
    exit 1
fi
