#!/bin/sh
# Starts a Job from the chart's CronJob, shows its log, and fails when it fails: sh k8s/dev/seed.sh farmlokal
set -eu
namespace=${1:-farmlokal} job=seed-$(date +%s)
in_namespace() { kubectl --namespace "$namespace" "$@"; }
in_namespace create job "$job" --from=cronjob/farmlokal-seed

# Some kubectls wait until there is a container, others fail at once.
tries=60
until in_namespace logs --follow --pod-running-timeout=2m "job/$job" || [ "$tries" = 0 ]; do
    tries=$((tries - 1))
    sleep 2
done

# A log ends with its pod, whatever became of it: only the Job tells.
tries=300
while [ "$tries" != 0 ]; do
    case $(in_namespace get job "$job" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}') in
    *Complete*) exit 0 ;;
    *Failed*)
        echo "$job failed" >&2
        exit 1
        ;;
    esac
    tries=$((tries - 1))
    sleep 2
done
echo "$job neither completes nor fails: kubectl --namespace $namespace describe job $job" >&2
exit 1
