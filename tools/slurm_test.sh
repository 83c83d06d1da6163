#!/usr/bin/env bash
# Evaluate on a SLURM cluster, one process per GPU.
#   GPUS=8 bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# Environment: GPUS (8, in total), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), SRUN_ARGS
# (further options of srun), MASTER_PORT (a port of its own per job, else two jobs on a node clash).
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3 checkpoint=$4
shift 4
exec bash "$(dirname "$0")/slurm/srun.sh" "$partition" "$job_name" \
    "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher slurm "$@"
