{{/* The chart's name in names and labels. */}}
{{- define "farmlokal.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{/*
What objects are called: the release's name, which holds the chart's name already or gets it. At most 46 characters, so that with
the longest ending a CronJob's name has 52, a Service's or a label 63. What is longer, or no beginning of a Service's name, ends
in a checksum: two of them stay apart.
*/}}
{{- define "farmlokal.fullname" -}}
{{- $name := include "farmlokal.name" . -}}
{{- $full := default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) .Values.fullnameOverride -}}
{{- if regexMatch "^[a-z]([-a-z0-9]{0,44}[a-z0-9])?$" $full -}}
{{- $full -}}
{{- else -}}
{{- $clean := $full | replace "." "-" | regexFind "[a-z].*" | trunc 37 | trimSuffix "-" -}}
{{- printf "%s-%s" $clean (sha256sum $full | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* The ending of a Job's name. Nobody can change its spec: another spec is another Job. Takes (list component spec). */}}
{{- define "farmlokal.jobEnding" -}}
{{- printf "%s-%s" (index . 0) (index . 1 | sha256sum | trunc 8) -}}
{{- end -}}

{{/* Labels that never change: what selectors may use. Takes (list $ component). */}}
{{- define "farmlokal.selector" -}}
app.kubernetes.io/name: {{ include "farmlokal.name" (index . 0) | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Selects the pods of several components. Takes (list $ component...). */}}
{{- define "farmlokal.selectorOf" -}}
matchLabels:
  app.kubernetes.io/name: {{ include "farmlokal.name" (index . 0) | quote }}
  app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
matchExpressions:
  - key: app.kubernetes.io/component
    operator: In
    values: {{ rest . | toJson }}
{{- end -}}

{{/* All labels of an object; commonLabels take the place of ours, but for the selector's. Takes (list $ component). */}}
{{- define "farmlokal.labels" -}}
{{- $ := index . 0 -}}
{{- $ours := dict
  "app.kubernetes.io/part-of" $.Chart.Name
  "app.kubernetes.io/version" $.Chart.AppVersion
  "app.kubernetes.io/managed-by" $.Release.Service
  "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
-}}
{{- include "farmlokal.mergedLabels" (list . $ours "commonLabels" $.Values.commonLabels) -}}
{{- end -}}

{{/* Takes (list (list $ component) labels name-of-the-value value). */}}
{{- define "farmlokal.mergedLabels" -}}
{{- $selector := include "farmlokal.selector" (index . 0) | fromYaml -}}
{{- $name := index . 2 -}}
{{- $more := default dict (index . 3) -}}
{{- range $key, $_ := $more -}}
{{- if hasKey $selector $key -}}
{{- fail (printf "%s.%s: selectors use this label, and it is the chart's" $name $key) -}}
{{- end -}}
{{- end -}}
{{- merge $selector (deepCopy $more) (index . 1) | toYaml -}}
{{- end -}}

{{/*
An object's metadata. Takes (list $ component ending-of-the-name annotations...): of annotations the first wins, and commonAnnotations
come last.
*/}}
{{- define "farmlokal.metadata" -}}
{{- $ := index . 0 -}}
{{- $ending := index . 2 -}}
name: {{ compact (list (include "farmlokal.fullname" $) $ending) | join "-" | quote }}
namespace: {{ $.Release.Namespace | quote }}
labels:
  {{- include "farmlokal.labels" (list $ (index . 1)) | nindent 2 }}
{{- with include "farmlokal.annotations" (append (slice . 3) $.Values.commonAnnotations) }}
{{ . }}
{{- end }}
{{- end -}}

{{/*
The metadata of what selects by labels of the user's, of which `value` is the name: a dictionary with labels and perhaps annotations.
Takes (list $ component ending value dictionary).
*/}}
{{- define "farmlokal.selectedMetadata" -}}
{{- $component := list (index . 0) (index . 1) -}}
{{- $labels := include "farmlokal.labels" $component | fromYaml -}}
{{- $config := index . 4 -}}
{{- $labels = include "farmlokal.mergedLabels" (list $component $labels (printf "%s.labels" (index . 3)) $config.labels) | fromYaml -}}
{{- $metadata := include "farmlokal.metadata" (list (index . 0) (index . 1) (index . 2) (default dict $config.annotations)) | fromYaml -}}
{{- set $metadata "labels" $labels | toYaml -}}
{{- end -}}

{{/* Takes (list annotations...), of which the first wins. */}}
{{- define "farmlokal.annotations" -}}
{{- $annotations := dict -}}
{{- range . -}}
{{- $annotations = merge $annotations (default dict .) -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}
