{{/* What objects are called: the release's name, which holds the chart's name already or gets it. */}}
{{- define "farmlokal.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: what selectors may use. Takes (list $ component). */}}
{{- define "farmlokal.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object. Takes (list $ component). */}}
{{- define "farmlokal.labels" -}}
{{- $ := index . 0 -}}
{{ include "farmlokal.selector" . }}
app.kubernetes.io/part-of: {{ $.Chart.Name }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The image of a component. Takes (list $ component). */}}
{{- define "farmlokal.image" -}}
{{- $ := index . 0 -}}
{{- printf "%s/farmlokal-%s:%s" (trimSuffix "/" $.Values.image.registry) (index . 1) (default $.Chart.AppVersion $.Values.image.tag) | quote -}}
{{- end -}}
