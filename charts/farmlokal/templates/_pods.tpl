{{/* `pods` with the component's own over it, which helm test has of the migration. Takes (list $ component). */}}
{{- define "farmlokal.podValues" -}}
{{- $ := index . 0 -}}
{{- $own := get $.Values (index . 1 | replace "test" "migrate") -}}
{{- mergeOverwrite (deepCopy (default dict $.Values.pods)) (deepCopy (default dict $own.pods)) | toYaml -}}
{{- end -}}

{{/* A pod's labels and annotations. Takes (list $ component annotations...): ours, such as checksums. */}}
{{- define "farmlokal.podMetadata" -}}
{{- $ := index . 0 -}}
{{- $component := list $ (index . 1) -}}
{{- $pod := include "farmlokal.podValues" $component | fromYaml -}}
labels:
  {{- include "farmlokal.mergedLabels" (list $component (include "farmlokal.labels" $component | fromYaml) "pods.labels (or those of a component)" $pod.labels) | nindent 2 }}
{{- with include "farmlokal.annotations" (append (slice . 2) $pod.annotations) }}
{{ . }}
{{- end }}
{{- end -}}

{{/*
What all pods have in common. Service links are off: with a Service called "redis" in the namespace they would set REDIS_PORT to
tcp://... Takes (list $ component).
*/}}
{{- define "farmlokal.pod" -}}
enableServiceLinks: false
{{- with include "farmlokal.imagePullSecrets" (index . 0) }}
{{ . }}
{{- end }}
{{- $pod := include "farmlokal.podValues" . | fromYaml }}
{{- range $field := list "securityContext" "priorityClassName" "nodeSelector" "tolerations" "affinity" }}
{{- with get $pod $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{/* How the pods of a Deployment spread. Takes (list $ component). */}}
{{- define "farmlokal.topologySpread" -}}
{{- $selector := include "farmlokal.selector" . -}}
{{- with (include "farmlokal.podValues" . | fromYaml).topologySpread -}}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey | quote }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    # Each revision by itself: pods that are about to go do not count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* What all containers have in common. Takes (list $ component component-of-the-image). */}}
{{- define "farmlokal.container" -}}
{{- $ := index . 0 -}}
image: {{ include "farmlokal.image" (list $ (last .)) }}
imagePullPolicy: {{ $.Values.image.pullPolicy }}
{{- with (include "farmlokal.podValues" . | fromYaml).containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The ServiceAccount of a component: that of the API for all but the controller, as none of them talks to Kubernetes. Takes
(list $ component).
*/}}
{{- define "farmlokal.serviceAccountName" -}}
{{- $ := index . 0 -}}
{{- $account := (get $.Values (index . 1)).serviceAccount -}}
{{- default ($account.create | ternary (printf "%s-%s" (include "farmlokal.fullname" $) (index . 1)) "default") $account.name -}}
{{- end -}}

{{/* The metadata of a ServiceAccount of ours. Takes (list $ component). */}}
{{- define "farmlokal.accountMetadata" -}}
{{- $account := (get (index . 0).Values (index . 1)).serviceAccount -}}
{{- $metadata := include "farmlokal.metadata" (list (index . 0) (index . 1) (index . 1) $account.annotations) | fromYaml -}}
{{- set $metadata "name" (include "farmlokal.serviceAccountName" .) | toYaml -}}
{{- end -}}

{{/* An attempt that was evicted, as from a drained node, does not count. Kubernetes 1.29 demands a status. */}}
{{- define "farmlokal.podFailurePolicy" -}}
podFailurePolicy:
  rules:
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
{{- end -}}
