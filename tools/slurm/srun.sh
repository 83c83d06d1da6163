#!/usr/bin/env bash
# For slurm_train.sh and slurm_test.sh: PARTITION JOB_NAME SCRIPT [arguments], one process per GPU.
set -euo pipefail
partition=$1 job_name=$2
shift 2
gpus=${GPUS:-8}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
if ((gpus % per_node)); then
    echo "GPUS=$gpus is no multiple of GPUS_PER_NODE=$per_node" >&2
    exit 2
fi
# SRUN_ARGS holds several words.
read -ra more <<<"${SRUN_ARGS:-}"
exec srun --partition="$partition" --job-name="$job_name" --gres="gpu:$per_node" \
    --ntasks="$gpus" --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 ${more[@]+"${more[@]}"} python -u "$@"
