{{/* The label `job` of the series of the API, which it has from its Service, or of the controller and the seed Jobs, which they
have from their PodMonitor. Takes (list $ component). */}}
{{- define "farmlokal.job" -}}
{{- $ := index . 0 -}}
{{- if eq (index . 1) "api" -}}
{{ include "farmlokal.fullname" $ }}-api
{{- else -}}
{{ $.Release.Namespace }}/{{ include "farmlokal.fullname" $ }}
{{- end -}}
{{- end -}}

{{/* The page with a section for each alert. */}}
{{- define "farmlokal.runbooks" -}}
{{- default (printf "%s/blob/v%s/docs/runbooks.md" .Chart.Home .Chart.AppVersion) .Values.prometheusRule.runbookUrl -}}
{{- end -}}

{{/* A query of files/alerts.yaml with the release's own series only, or two releases would record and alert about each other's.
kube-state-metrics does not say whose Jobs are: theirs are told apart by the namespace alone. Takes (list $ query). */}}
{{- define "farmlokal.own" -}}
{{- $ := index . 0 -}}
{{- $jobs := printf "%s|%s" (include "farmlokal.job" (list $ "api")) (include "farmlokal.job" (list $ "controller")) -}}
{{- $namespace := printf "namespace=%q" $.Release.Namespace -}}
{{- $own := printf "%s,job=~%q" $namespace (default $jobs $.Values.prometheusRule.jobs) -}}
{{- $series := `([\w:]*\b(?:farmlokal|http_server)_[\w:]+)` -}}
{{- $query := regexReplaceAll (printf `%s\{` $series) (index . 1) (printf "${1}{%s," $own) -}}
{{- $query = regexReplaceAll (printf `%s([^\w:{]|$)` $series) $query (printf "${1}{%s}${2}" $own) -}}
{{- regexReplaceAll `\b(kube_\w+)\{` $query (printf "${1}{%s," $namespace) -}}
{{- end -}}
