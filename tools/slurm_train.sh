#!/usr/bin/env bash
# Train on a SLURM cluster, one process per GPU.
#   GPUS=8 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
# Environment: GPUS (8, in total), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), SRUN_ARGS
# (further options of srun), MASTER_PORT (a port of its own per job, else two jobs on a node clash).
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3
shift 3
exec bash "$(dirname "$0")/slurm/srun.sh" "$partition" "$job_name" \
    "$(dirname "$0")/train.py" "$config" --launcher slurm "$@"
