{{/*
The seed Job's spec. Killed at any point, it goes on where it was. Takes (list $ whether-only-an-empty-catalogue-is-seeded).
*/}}
{{- define "farmlokal.seedJob" -}}
{{- $whenEmpty := index . 1 -}}
{{- with index . 0 -}}
backoffLimit: {{ .Values.seed.backoffLimit }}
{{- if not (kindIs "invalid" .Values.seed.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int64 .Values.seed.ttlSecondsAfterFinished }}
{{- end }}
{{ include "farmlokal.podFailurePolicy" . }}
template:
  metadata:
    {{- include "farmlokal.podMetadata" (list . "seed") | nindent 4 }}
  spec:
    serviceAccountName: {{ include "farmlokal.serviceAccountName" (list . "api") }}
    automountServiceAccountToken: false
    restartPolicy: Never
    {{- include "farmlokal.pod" (list . "seed") | nindent 4 }}
    containers:
      - name: seed
        {{- include "farmlokal.container" (list . "seed") | nindent 8 }}
        env:
          - name: SEED_ROWS
            value: {{ int64 .Values.seed.rows | quote }}
          - name: SEED
            value: {{ int64 .Values.seed.seed | quote }}
          {{- if $whenEmpty }}
          - name: SEED_WHEN_EMPTY
            value: "true"
          {{- else }}
          - name: SEED_REPLACE
            value: {{ .Values.seed.replace | quote }}
          {{- end }}
          - name: HOST
            value: {{ .Values.listen | quote }}
          - name: MANAGEMENT_PORT
            value: "9090"
          {{- include "farmlokal.databaseEnv" (list . (include "farmlokal.fullname" .)) | nindent 10 }}
          {{- include "farmlokal.redisEnv" . | nindent 10 }}
          {{- with .Values.seed.extraEnv }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        ports:
          - name: management
            containerPort: 9090
        resources:
          {{- toYaml .Values.seed.resources | nindent 10 }}
{{- end -}}
{{- end -}}
