#!/bin/sh
# What sam-tiny's tracks and proposals are worth on annotated videos and pictures, in one go.
#
#     benchmarks/generate_videos.sh DAVIS_ROOT BSDS500/val OUT [OTHER_FRAMES_FOLDER ...]
#
# DAVIS_ROOT holds JPEGImages/480p/<clip> and Annotations/480p/<clip>. Into OUT:
#   short.h5, short.json   the first SHORT_FRAMES frames of every video with SHORT_TRACKS tracks, carried as the paper carries
#                          those of its training clips; statistics as in its Table 1
#   short.png              what they look like: a contact sheet
#   long.h5, long_statistics.json, long.json
#                          whole videos with LONG_TRACKS tracks, carried as sam-tiny's are unless told otherwise, by flow:
#                          statistics, J of each object's best track
#   long.png               what they look like
#   proposals.json         mean best IoU of first-frame proposals over the regions of PICTURES pictures
#
# A prompt of sam-tiny costs about 10 ms of CPU time where the CPU multiplies bf16, 16 ms elsewhere, and a track takes 5
# to 25 prompts a frame, 1 in long.h5. With the numbers below five DAVIS videos (353 frames) and one more take half
# an hour on one core; a run that was stopped goes on when it is started again. GENERATE adds options to the command.
set -eu
if [ $# -lt 3 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
davis=$1 pictures=$2 out=$3
shift 3
here=$(dirname "$0")
python=${PYTHON:-python}
mugvos="$python -m mugvos_cli.main"
mkdir -p "$out/frames"

videos=""
for folder in "$davis"/JPEGImages/480p/* "$@"; do
    videos="$videos $folder"
    name=$(basename "$folder")
    mkdir -p "$out/frames/$name"
    for frame in $(ls "$folder" | head -n "${SHORT_FRAMES:-10}"); do
        ln -sf "$(realpath "$folder/$frame")" "$out/frames/$name/$frame"
    done
done

# made NAME COMMAND...: run it unless OUT/NAME is there.
made() {
    name=$1
    shift
    [ -e "$out/$name" ] || "$@" ${GENERATE:-} -o "$out/$name"
}
# written NAME COMMAND...: its output becomes OUT/NAME, and is shown.
written() {
    name=$1
    shift
    "$@" > "$out/$name.part"
    mv "$out/$name.part" "$out/$name"
    echo "== $name"
    cat "$out/$name"
}

made short.h5 $mugvos generate "$out/frames" --max-tracks "${SHORT_TRACKS:-50}" --keep-warped 0
written short.json $mugvos info --json "$out/short.h5"
$mugvos visualize "$out/short.h5" --rows 1 --columns 3 --max-width 1800 --overwrite -o "$out/short.png"

# shellcheck disable=SC2086  # folders of videos, one word each
made long.h5 $mugvos generate $videos --max-tracks "${LONG_TRACKS:-200}"
written long_statistics.json $mugvos info --json "$out/long.h5"
written long.json $python "$here/tracks.py" "$out/long.h5" "$davis/Annotations/480p" --json
$mugvos visualize "$out/long.h5" --rows 1 --columns 4 --max-width 2400 --overwrite -o "$out/long.png"

written proposals.json $python "$here/proposals.py" "$pictures" --pictures "${PICTURES:-16}" --json
