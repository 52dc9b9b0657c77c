{{/* The labels of a pod. Takes (list $ component). */}}
{{- define "farmlokal.podLabels" -}}
{{- $ := index . 0 -}}
labels:
  {{- with $.Values.pods.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "farmlokal.labels" (list $ (index . 1)) | nindent 2 }}
{{- end -}}

{{/*
What all pods have in common. Service links are off: with a Service called "redis" in the namespace they would set REDIS_PORT to
tcp://...
*/}}
{{- define "farmlokal.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What all containers have in common. Takes (list $ component-of-the-image). */}}
{{- define "farmlokal.container" -}}
image: {{ include "farmlokal.image" . }}
imagePullPolicy: {{ (index . 0).Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}
