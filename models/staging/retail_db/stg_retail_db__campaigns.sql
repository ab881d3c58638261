with source as (

    select * from {{ source('retail_db', 'campaigns') }}

),

renamed as (

    select
        -- ids
        campaign_id,
        household_id,

        -- strings
        _dlt_load_id as load_id

    from source

)

select * from renamed
